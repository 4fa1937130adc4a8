"""Where Keras 2 keeps its models: `graphc.engine.training.Model`."""
