"""MLflow; the server is the one of MLFLOW_TRACKING_URI, else its own default."""

import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import Tensor

from unbraid.logs.logger import Logger, as_bytes
from unbraid.logs.service import identity, service

_KEY = "unbraid.run"


class MLflow(Logger):
    """A run of the experiment that bears the name of the study's folder; resumed, it is the same run."""

    def __init__(self, folder: Path, settings: Mapping[str, Any]) -> None:
        self.mlflow = service("mlflow")
        project, name, key = identity(folder)
        self.client = self.mlflow.MlflowClient()
        experiment = self.client.get_experiment_by_name(project)
        number = experiment.experiment_id if experiment else self.client.create_experiment(project)
        found = self.client.search_runs([number], f"tags.`{_KEY}` = '{key}'", max_results=1)
        run = found[0] if found else self.client.create_run(number, run_name=name, tags={_KEY: key})
        self.id = run.info.run_id
        if found:
            self.client.update_run(self.id, status="RUNNING")
        else:
            parameters = [self.mlflow.entities.Param(k, str(v)) for k, v in settings.items()]
            self.client.log_batch(self.id, params=parameters)

    def numbers(self, values: Mapping[str, float], step: int) -> None:
        now = int(1000 * time.time())
        metrics = [  # its store of files takes no "kl/0" beside "kl"
            self.mlflow.entities.Metric(name.replace("/", "_"), value, now, step) for name, value in values.items()
        ]
        self.client.log_batch(self.id, metrics=metrics)

    def picture(self, name: str, picture: Tensor, step: int) -> None:
        self.client.log_image(self.id, as_bytes(picture).numpy(), artifact_file=f"{name}/{step:09}.png")

    def close(self, failed: bool) -> None:
        self.client.set_terminated(self.id, "FAILED" if failed else "FINISHED")
