"""Arrays in, figure out: `save(traversals(images, values, variances=variances), "traversals.png")`.

Every function takes numpy arrays (or what becomes one) and plain values, and returns a matplotlib Figure of its own,
in a `theme` for light or dark pages; animations write their file.
"""

from unbraid.figures.animations import animate, animate_all
from unbraid.figures.contact_sheet import contact_sheet
from unbraid.figures.heat_map import heat_map
from unbraid.figures.latent_against_factor import latent_against_factor
from unbraid.figures.mutual_information import mutual_information
from unbraid.figures.posterior import posterior_deviation, posterior_variance
from unbraid.figures.reconstruction_against import reconstruction_against
from unbraid.figures.reconstructions import reconstructions
from unbraid.figures.score_against import score_against
from unbraid.figures.score_distributions import score_distributions
from unbraid.figures.style import LOOKS, encoded, save
from unbraid.figures.training_curves import training_curves
from unbraid.figures.traversals import traversal_strip, traversals

__all__ = [
    "LOOKS",
    "animate",
    "animate_all",
    "contact_sheet",
    "encoded",
    "heat_map",
    "latent_against_factor",
    "mutual_information",
    "posterior_deviation",
    "posterior_variance",
    "reconstruction_against",
    "reconstructions",
    "save",
    "score_against",
    "score_distributions",
    "training_curves",
    "traversal_strip",
    "traversals",
]
