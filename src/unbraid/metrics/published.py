"""Scores that papers report, to stand beside ours: where a number comes from matters as much as the number."""

_INFOGAN_CR = "Lin 2020, table 1"

# data set -> metric -> [(method, value, source)]; parts of a metric as "name.part". Only what our protocol could give:
# table 1 of Lin 2020 has a SAP of .56 to .65 too, of which perfect codes get .25 here (docs/metrics.md#sap).
PUBLISHED: dict[str, dict[str, list[tuple[str, float, str]]]] = {
    "dsprites": {
        "beta_vae": [
            ("beta-VAE", 0.9923, "Higgins 2017"),
            ("VAE", 0.6158, "Higgins 2017"),
            ("InfoGAN", 0.735, "Higgins 2017"),
            ("PCA", 0.849, "Higgins 2017"),
            ("FactorVAE", 0.84, _INFOGAN_CR),
            ("InfoGAN-CR", 0.95, _INFOGAN_CR),
        ],
        "factor_vae": [
            ("VAE", 0.63, _INFOGAN_CR),
            ("beta-TCVAE", 0.62, _INFOGAN_CR),
            ("FactorVAE", 0.82, _INFOGAN_CR),
            ("InfoGAN-CR", 0.88, _INFOGAN_CR),
        ],
        "mig": [
            ("VAE", 0.10, _INFOGAN_CR),
            ("beta-TCVAE", 0.45, _INFOGAN_CR),
            ("FactorVAE", 0.43, _INFOGAN_CR),
            ("InfoGAN-CR", 0.37, _INFOGAN_CR),
        ],
        "dci_rf": [
            ("VAE", 0.30, _INFOGAN_CR),
            ("beta-TCVAE", 0.29, _INFOGAN_CR),
            ("FactorVAE", 0.74, _INFOGAN_CR),
            ("InfoGAN-CR", 0.71, _INFOGAN_CR),
        ],
        "explicitness": [("FactorVAE", 0.79, _INFOGAN_CR), ("InfoGAN-CR", 0.85, _INFOGAN_CR)],
        "modularity": [("FactorVAE", 0.77, _INFOGAN_CR), ("InfoGAN-CR", 0.96, _INFOGAN_CR)],
    },
}
