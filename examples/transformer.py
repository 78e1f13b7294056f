"""Disentangled codes inside scikit-learn: how many latents does a classifier of digits need?"""

from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import Pipeline

from unbraid.sklearn import Disentangler

images, digits = load_digits(return_X_y=True)  # [1797, 64], 0 to 16: rows of 64 numbers are taken as 8x8 pixels

pipeline = Pipeline(
    [
        ("codes", Disentangler(steps=300, random_state=0)),
        ("classifier", LogisticRegression(max_iter=1000)),
    ]
)
search = GridSearchCV(pipeline, {"codes__latent_dim": [1, 2, 8]}, cv=2).fit(images, digits)

for candidate, accuracy in zip(search.cv_results_["params"], search.cv_results_["mean_test_score"], strict=True):
    print(f"{candidate['codes__latent_dim']} latents: accuracy {accuracy:.2f}")

codes = search.best_estimator_["codes"].transform(images)  # [1797, latents]
again = search.best_estimator_["codes"].inverse_transform(codes)  # [1797, 64], 0 to 16
print(f"mean error of a pixel: {abs(again - images).mean():.1f} of 16")
