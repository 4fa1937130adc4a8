"""Normalisation with weights: batch, layer and group normalisation."""

from __future__ import annotations

from typing import Any

import numpy as np

from graphc import constraints, initializers, ops, regularizers
from graphc.ir.errors import ArgumentError
from graphc.ir.relations import normalize_axis
from graphc.layers.layer import Layer
from graphc.layers.spec import InputSpec


class Affine(Layer):
    """Base: a scale `gamma` and an offset `beta`, each of which may be left out."""

    def __init__(
        self,
        center: bool,
        scale: bool,
        beta_initializer: Any,
        gamma_initializer: Any,
        beta_regularizer: Any,
        gamma_regularizer: Any,
        beta_constraint: Any,
        gamma_constraint: Any,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.center, self.scale = center, scale
        self.beta_initializer = initializers.get(beta_initializer)
        self.gamma_initializer = initializers.get(gamma_initializer)
        self.beta_regularizer = regularizers.get(beta_regularizer)
        self.gamma_regularizer = regularizers.get(gamma_regularizer)
        self.beta_constraint = constraints.get(beta_constraint)
        self.gamma_constraint = constraints.get(gamma_constraint)
        self.supports_masking = True
        self.gamma: Any = None
        self.beta: Any = None

    def build_affine(self, shape: tuple[int, ...]) -> None:
        """Make `gamma` and `beta` of this shape."""
        if self.scale:
            self.gamma = self.add_weight(
                name="gamma",
                shape=shape,
                initializer=self.gamma_initializer,
                regularizer=self.gamma_regularizer,
                constraint=self.gamma_constraint,
            )
        if self.center:
            self.beta = self.add_weight(
                name="beta",
                shape=shape,
                initializer=self.beta_initializer,
                regularizer=self.beta_regularizer,
                constraint=self.beta_constraint,
            )

    def affine(self, shape: tuple[int, ...]) -> tuple[Any, Any]:
        """Scale and offset: the weights, or ones and zeros where they are left out."""
        gamma = self.gamma if self.gamma is not None else np.ones(shape, self.compute_dtype)
        beta = self.beta if self.beta is not None else np.zeros(shape, self.compute_dtype)
        return gamma, beta

    def affine_config(self) -> dict[str, Any]:
        """The part of the configuration that concerns `gamma` and `beta`."""
        return {
            "center": self.center,
            "scale": self.scale,
            "beta_initializer": initializers.serialize(self.beta_initializer),
            "gamma_initializer": initializers.serialize(self.gamma_initializer),
            "beta_regularizer": regularizers.serialize(self.beta_regularizer),
            "gamma_regularizer": regularizers.serialize(self.gamma_regularizer),
            "beta_constraint": constraints.serialize(self.beta_constraint),
            "gamma_constraint": constraints.serialize(self.gamma_constraint),
        }


class BatchNormalization(Affine):
    """(x - mean) / sqrt(variance + epsilon) * gamma + beta, with statistics per index of `axis` (Ioffe and
    Szegedy, 2015).

    While training, the statistics are the batch's (the variance biased), and the moving ones follow by
    `momentum`; else, and when `trainable` is False, they are the moving ones. Masked steps do not count in
    the statistics.

    Weights: `gamma`, `beta`, and not trainable `moving_mean`, `moving_variance`, each of shape (channels,).

    >>> import numpy as np
    >>> layer = BatchNormalization(momentum=0.9)
    >>> x = np.array([[0.0, 10.0], [2.0, 30.0]])
    >>> layer(x, training=True).round(2)
    array([[-1., -1.],
           [ 1.,  1.]], dtype=float32)
    >>> layer.moving_mean.numpy()
    array([0.1, 2. ], dtype=float32)
    """

    def __init__(
        self,
        axis: int = -1,
        momentum: float = 0.99,
        epsilon: float = 1e-3,
        center: bool = True,
        scale: bool = True,
        beta_initializer: Any = "zeros",
        gamma_initializer: Any = "ones",
        moving_mean_initializer: Any = "zeros",
        moving_variance_initializer: Any = "ones",
        beta_regularizer: Any = None,
        gamma_regularizer: Any = None,
        beta_constraint: Any = None,
        gamma_constraint: Any = None,
        synchronized: bool = False,
        renorm: bool = False,
        renorm_clipping: Any = None,
        renorm_momentum: float = 0.99,
        **kwargs: Any,
    ) -> None:
        if renorm or synchronized:
            raise ArgumentError("BatchNormalization with renorm or synchronized is not possible")
        super().__init__(
            center,
            scale,
            beta_initializer,
            gamma_initializer,
            beta_regularizer,
            gamma_regularizer,
            beta_constraint,
            gamma_constraint,
            **kwargs,
        )
        self.axis = int(axis[0]) if isinstance(axis, (list, tuple)) else int(axis)
        self.momentum, self.epsilon = momentum, epsilon
        self.moving_mean_initializer = initializers.get(moving_mean_initializer)
        self.moving_variance_initializer = initializers.get(moving_variance_initializer)
        self.renorm_momentum = renorm_momentum

    def build(self, input_shape: Any) -> None:
        axis = normalize_axis(self.axis, len(input_shape))
        channels = input_shape[axis]
        self.build_affine((channels,))
        statistic: dict[str, Any] = {"shape": (channels,), "trainable": False}
        self.moving_mean = self.add_weight(
            "moving_mean", initializer=self.moving_mean_initializer, **statistic
        )
        self.moving_variance = self.add_weight(
            "moving_variance", initializer=self.moving_variance_initializer, **statistic
        )
        self.input_spec = InputSpec(ndim=len(input_shape), axes={axis: channels})

    def call(self, inputs: Any, training: bool = False, mask: Any = None) -> Any:
        axis = self.axis % inputs.ndim
        gamma, beta = self.affine((inputs.shape[axis],))
        mean, variance = self.moving_mean, self.moving_variance
        if not (training and self.trainable):
            return ops.batch_normalization(inputs, mean, variance, axis, beta, gamma, self.epsilon)
        if mask is not None:
            return self._train_masked(inputs, mask, axis, gamma, beta)
        y, batch_mean, batch_variance = ops.batch_normalization_train(inputs, axis, beta, gamma, self.epsilon)
        self._follow(batch_mean, batch_variance)
        return y

    def _follow(self, mean: Any, variance: Any) -> None:
        """Move the moving statistics towards the batch's."""
        pairs: list[tuple[Any, Any]] = [(self.moving_mean, mean), (self.moving_variance, variance)]
        for moving, batch in pairs:
            moving.assign(moving * self.momentum + ops.stop_gradient(batch) * (1.0 - self.momentum))

    def _train_masked(self, x: Any, mask: Any, axis: int, gamma: Any, beta: Any) -> Any:
        """With statistics over the valid steps only."""
        others = [i for i in range(x.ndim) if i != axis]
        weights = ops.cast(ops.reshape(mask, (*mask.shape, *(1,) * (x.ndim - mask.ndim))), x.dtype)
        weights = ops.broadcast_to(weights, (*x.shape[: mask.ndim], *(1,) * (x.ndim - mask.ndim)))
        count = ops.sum(weights, others, True) + 1e-7
        mean = ops.sum(x * weights, others, True) / count
        variance = ops.sum(ops.square(x - mean) * weights, others, True) / count
        flat = (ops.reshape(s, (x.shape[axis],)) for s in (mean, variance))
        mean, variance = flat
        self._follow(mean, variance)
        return ops.batch_normalization(x, mean, variance, axis, beta, gamma, self.epsilon)

    def get_config(self) -> dict[str, Any]:
        moving = {
            "moving_mean_initializer": initializers.serialize(self.moving_mean_initializer),
            "moving_variance_initializer": initializers.serialize(self.moving_variance_initializer),
        }
        affine = list(self.affine_config().items())
        return {
            **super().get_config(),
            "axis": self.axis,
            "momentum": self.momentum,
            "epsilon": self.epsilon,
            **dict(affine[:4]),
            **moving,
            **dict(affine[4:]),
            "synchronized": False,
            "renorm": False,
            "renorm_clipping": None,
            "renorm_momentum": self.renorm_momentum,
        }


class LayerNormalization(Affine):
    """(x - mean) / sqrt(variance + epsilon) * gamma + beta, with statistics of each sample along `axis` (Ba
    et al., 2016).

    With `rms_scaling`, x / sqrt(mean(x^2) + epsilon) * gamma instead.

    >>> import numpy as np
    >>> LayerNormalization()(np.array([[1.0, 2.0, 3.0], [10.0, 20.0, 30.0]])).round(2)
    array([[-1.22,  0.  ,  1.22],
           [-1.22,  0.  ,  1.22]], dtype=float32)
    """

    def __init__(
        self,
        axis: Any = -1,
        epsilon: float = 1e-3,
        center: bool = True,
        scale: bool = True,
        rms_scaling: bool = False,
        beta_initializer: Any = "zeros",
        gamma_initializer: Any = "ones",
        beta_regularizer: Any = None,
        gamma_regularizer: Any = None,
        beta_constraint: Any = None,
        gamma_constraint: Any = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(
            center and not rms_scaling,
            scale,
            beta_initializer,
            gamma_initializer,
            beta_regularizer,
            gamma_regularizer,
            beta_constraint,
            gamma_constraint,
            **kwargs,
        )
        self.axis = list(axis) if isinstance(axis, (list, tuple)) else axis
        self.epsilon, self.rms_scaling = epsilon, rms_scaling
        self._centered = center

    def _axes(self, rank: int) -> tuple[int, ...]:
        given = self.axis if isinstance(self.axis, list) else [self.axis]
        return tuple(sorted(normalize_axis(a, rank) for a in given))

    def build(self, input_shape: Any) -> None:
        self.build_affine(tuple(input_shape[a] for a in self._axes(len(input_shape))))

    def call(self, inputs: Any) -> Any:
        axes = self._axes(inputs.ndim)
        sizes = tuple(inputs.shape[a] for a in axes)
        gamma, beta = self.affine(sizes)
        if self.rms_scaling:
            power = ops.mean(ops.square(inputs), axes, True)
            return inputs * ops.rsqrt(power + self.epsilon) * ops.reshape(gamma, _spread(inputs, axes))
        return ops.layer_normalization(inputs, gamma, beta, axes, self.epsilon)

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "axis": self.axis,
            "epsilon": self.epsilon,
            **self.affine_config(),
            "center": self._centered,
            "rms_scaling": self.rms_scaling,
        }


def _spread(x: Any, axes: tuple[int, ...]) -> tuple[Any, ...]:
    return tuple(x.shape[i] if i in axes else 1 for i in range(x.ndim))


class GroupNormalization(Affine):
    """Layer normalisation within groups of channels (Wu and He, 2018); groups=-1 is one group per channel.

    >>> import numpy as np
    >>> GroupNormalization(groups=2)(np.array([[1.0, 3.0, 10.0, 30.0]])).round(2)
    array([[-1.,  1., -1.,  1.]], dtype=float32)
    """

    def __init__(
        self,
        groups: int = 32,
        axis: int = -1,
        epsilon: float = 1e-3,
        center: bool = True,
        scale: bool = True,
        beta_initializer: Any = "zeros",
        gamma_initializer: Any = "ones",
        beta_regularizer: Any = None,
        gamma_regularizer: Any = None,
        beta_constraint: Any = None,
        gamma_constraint: Any = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(
            center,
            scale,
            beta_initializer,
            gamma_initializer,
            beta_regularizer,
            gamma_regularizer,
            beta_constraint,
            gamma_constraint,
            **kwargs,
        )
        self.groups, self.axis, self.epsilon = groups, axis, epsilon

    def build(self, input_shape: Any) -> None:
        channels = input_shape[self.axis]
        groups = channels if self.groups == -1 else self.groups
        if channels is None or channels < groups or channels % groups:
            raise ArgumentError(f"{self}: {channels} channels don't fall into {groups} equal groups.")
        self.build_affine((channels,))
        self.input_spec = InputSpec(ndim=len(input_shape), axes={self.axis % len(input_shape): channels})

    def call(self, inputs: Any) -> Any:
        axis = self.axis % inputs.ndim
        channels = inputs.shape[axis]
        groups = channels if self.groups == -1 else self.groups
        shape = (*inputs.shape[:axis], groups, channels // groups, *inputs.shape[axis + 1 :])
        x = ops.reshape(inputs, shape)
        others = [i for i in range(1, len(shape)) if i != axis]
        mean = ops.mean(x, others, True)
        centred = x - mean
        x = centred * ops.rsqrt(ops.mean(ops.square(centred), others, True) + self.epsilon)
        x = ops.reshape(x, inputs.shape)
        gamma, beta = self.affine((channels,))
        spread = tuple(channels if i == axis else 1 for i in range(inputs.ndim))
        return x * ops.reshape(gamma, spread) + ops.reshape(beta, spread)

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "groups": self.groups,
            "axis": self.axis,
            "epsilon": self.epsilon,
            **self.affine_config(),
        }


class UnitNormalization(Layer):
    """Each sample scaled to norm 1 along `axis`.

    >>> import numpy as np
    >>> UnitNormalization()(np.array([[3.0, 4.0]])).round(2)
    array([[0.6, 0.8]], dtype=float32)
    """

    def __init__(self, axis: Any = -1, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.axis = list(axis) if isinstance(axis, (list, tuple)) else axis
        self.supports_masking = True
        self.built = True

    def call(self, inputs: Any) -> Any:
        squared = ops.sum(ops.square(inputs), self.axis, True)
        return inputs * ops.rsqrt(ops.maximum(squared, 1e-12))

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "axis": self.axis}
