"""`Model`, by its old path `keras.engine.training.Model`; the class is `graphc.models.Model`."""

from graphc.models import Model

__all__ = ["Model"]
