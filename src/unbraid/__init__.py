"""unbraid: learn, show, measure and compare disentangled representations of images."""

__version__ = "0.1.0"
