"""The optimizers: each names its rule (an op of `ir/ops/train`), its hyperparameters and its slots.

>>> from graphc.optimizers import Adam
>>> Adam(0.01).get_config()["beta_1"]
0.9
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from graphc import ops
from graphc.ir.errors import ArgumentError
from graphc.optimizers.optimizer import Optimizer
from graphc.variable import Variable

if TYPE_CHECKING:
    from graphc.trace import Trace


class SGD(Optimizer):
    """w -= rate * g, with momentum v = momentum * v - rate * g and w += v (Sutskever et al. 2013 for
    `nesterov`).
    """

    rule, hyperparameters = "sgd", ("momentum", "nesterov")
    momentum: float

    def __init__(
        self, learning_rate: Any = 0.01, momentum: float = 0.0, nesterov: bool = False, **shared: Any
    ) -> None:
        if not 0.0 <= momentum <= 1.0:
            raise ArgumentError(f"momentum must lie in [0, 1], got {momentum}")
        super().__init__(learning_rate, momentum=float(momentum), nesterov=bool(nesterov), **shared)

    def slot_names(self) -> tuple[str, ...]:
        return ("momentum",) if self.momentum else ()


class Adam(Optimizer):
    """Adam (Kingma & Ba 2015): rate * sqrt(1 - b2^t) / (1 - b1^t) * m / (sqrt(v) + epsilon)."""

    rule, hyperparameters = "adam", ("beta_1", "beta_2", "epsilon", "amsgrad")
    amsgrad: bool
    together = 2

    def __init__(
        self,
        learning_rate: Any = 0.001,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float = 1e-7,
        amsgrad: bool = False,
        **shared: Any,
    ) -> None:
        super().__init__(
            learning_rate, beta_1=beta_1, beta_2=beta_2, epsilon=epsilon, amsgrad=amsgrad, **shared
        )

    def slot_names(self) -> tuple[str, ...]:
        return ("momentum", "velocity", "velocity_hat") if self.amsgrad else ("momentum", "velocity")


class AdamW(Adam):
    """Adam with decoupled weight decay (Loshchilov & Hutter 2019)."""

    def __init__(
        self, learning_rate: Any = 0.001, weight_decay: float = 0.004, *args: Any, **keywords: Any
    ) -> None:
        super().__init__(learning_rate, *args, weight_decay=weight_decay, **keywords)


class RMSprop(Optimizer):
    """v = rho * v + (1 - rho) * g^2; w -= rate * g / sqrt(v + epsilon) (Hinton 2012, lecture 6e)."""

    rule, hyperparameters = "rmsprop", ("rho", "momentum", "epsilon", "centered")
    momentum: float
    centered: bool

    def __init__(
        self,
        learning_rate: Any = 0.001,
        rho: float = 0.9,
        momentum: float = 0.0,
        epsilon: float = 1e-7,
        centered: bool = False,
        **shared: Any,
    ) -> None:
        super().__init__(
            learning_rate, rho=rho, momentum=float(momentum), epsilon=epsilon, centered=centered, **shared
        )

    def slot_names(self) -> tuple[str, ...]:
        return ("velocity",) + ("momentum",) * bool(self.momentum) + ("average_gradient",) * self.centered


class Adagrad(Optimizer):
    """a += g^2; w -= rate * g / sqrt(a + epsilon) (Duchi et al. 2011)."""

    rule = "adagrad"
    hyperparameters: ClassVar[tuple[str, ...]] = ("epsilon",)

    def __init__(
        self,
        learning_rate: Any = 0.001,
        initial_accumulator_value: float = 0.1,
        epsilon: float = 1e-7,
        **shared: Any,
    ) -> None:
        self.initial_accumulator_value = initial_accumulator_value
        super().__init__(learning_rate, epsilon=epsilon, **shared)

    def slot_names(self) -> tuple[str, ...]:
        return ("accumulator",)

    def initial_slot(self, name: str, weight: Variable) -> np.ndarray:
        return np.full(weight.shape, self.initial_accumulator_value, weight.dtype)

    def get_config(self) -> dict[str, Any]:
        return super().get_config() | {"initial_accumulator_value": self.initial_accumulator_value}


class Adadelta(Optimizer):
    """Adadelta (Zeiler 2012), with a learning rate as in Keras."""

    rule, hyperparameters = "adadelta", ("rho", "epsilon")
    together = 2

    def __init__(
        self, learning_rate: Any = 0.001, rho: float = 0.95, epsilon: float = 1e-7, **shared: Any
    ) -> None:
        super().__init__(learning_rate, rho=rho, epsilon=epsilon, **shared)

    def slot_names(self) -> tuple[str, ...]:
        return ("accumulated_grad", "accumulated_delta_var")


class _Averaging(Optimizer):
    """Base of those whose slots are decaying means, of gradients by `beta_1`, of their size by `beta_2`."""

    hyperparameters = ("beta_1", "beta_2", "epsilon")
    together = 2

    def __init__(
        self,
        learning_rate: Any = 0.001,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float = 1e-7,
        **shared: Any,
    ) -> None:
        super().__init__(learning_rate, beta_1=beta_1, beta_2=beta_2, epsilon=epsilon, **shared)


class Adamax(_Averaging):
    """Adam with the infinity norm (Kingma & Ba 2015, section 7)."""

    rule = "adamax"

    def slot_names(self) -> tuple[str, ...]:
        return ("momentum", "norm")


class Nadam(_Averaging):
    """Adam with Nesterov's momentum (Dozat 2015)."""

    rule = "nadam"
    beta_1: float
    product: Variable | None = None

    def slot_names(self) -> tuple[str, ...]:
        return ("momentum", "velocity")

    def build(self, variables: Sequence[Variable]) -> None:
        super().build(variables)
        if self.product is None:
            self.product = Variable(np.float32(1), trainable=False, name="momentum_product")

    @property
    def variables(self) -> list[Variable]:
        return super().variables + list(self.shared_slots())

    def shared_slots(self) -> Sequence[Variable]:
        """The product of the momenta so far."""
        return () if self.product is None else (self.product,)

    def _update_all(
        self, trace: Trace, gradients: Sequence[Any], variables: Sequence[Variable], step: Any
    ) -> None:
        assert self.product is not None, "build() makes it"
        product = trace.read(self.product)
        decay = ops.power(np.float32(0.96), ops.cast(step + 1, product.dtype))
        trace.assign(self.product, product * self.beta_1 * (1.0 - 0.5 * decay))
        super()._update_all(trace, gradients, variables, step)

    def scalars(self, trace: Trace, dtype: Any) -> tuple[Any, ...]:
        assert self.product is not None, "build() makes it"
        return (ops.cast(trace.read(self.product), dtype),)


class Lion(Optimizer):
    """m = beta_1 * m + (1 - beta_1) * g gives the sign of the step (Chen et al. 2023)."""

    rule, hyperparameters = "lion", ("beta_1", "beta_2")

    def __init__(
        self, learning_rate: Any = 0.001, beta_1: float = 0.9, beta_2: float = 0.99, **shared: Any
    ) -> None:
        if not 0.0 < beta_1 <= 1.0:
            raise ArgumentError(f"beta_1 must lie in (0, 1], got {beta_1}")
        super().__init__(learning_rate, beta_1=beta_1, beta_2=beta_2, **shared)

    def slot_names(self) -> tuple[str, ...]:
        return ("momentum",)


class Ftrl(Adagrad):
    """Follow the regularized leader (McMahan et al. 2013, algorithm 1), with shrinkage as in Keras."""

    rule = "ftrl"
    hyperparameters: ClassVar[tuple[str, ...]] = ()
    together = 2
    RULE = {
        "power": "learning_rate_power",
        "l1": "l1_regularization_strength",
        "l2": "l2_regularization_strength",
        "shrinkage": "l2_shrinkage_regularization_strength",
        "beta": "beta",
    }

    def __init__(
        self,
        learning_rate: Any = 0.001,
        learning_rate_power: float = -0.5,
        initial_accumulator_value: float = 0.1,
        l1_regularization_strength: float = 0.0,
        l2_regularization_strength: float = 0.0,
        l2_shrinkage_regularization_strength: float = 0.0,
        beta: float = 0.0,
        **shared: Any,
    ) -> None:
        strengths = (
            l1_regularization_strength,
            l2_regularization_strength,
            l2_shrinkage_regularization_strength,
            initial_accumulator_value,
        )
        if min(strengths) < 0.0 or learning_rate_power > 0.0:
            raise ArgumentError("Ftrl's strengths can't be negative, nor learning_rate_power positive")
        self.learning_rate_power, self.beta = learning_rate_power, beta
        self.l1_regularization_strength = l1_regularization_strength
        self.l2_regularization_strength = l2_regularization_strength
        self.l2_shrinkage_regularization_strength = l2_shrinkage_regularization_strength
        self.initial_accumulator_value = initial_accumulator_value
        Optimizer.__init__(self, learning_rate, **shared)

    def slot_names(self) -> tuple[str, ...]:
        return ("accumulator", "linear")

    def initial_slot(self, name: str, weight: Variable) -> np.ndarray:
        return super().initial_slot(name, weight) if name == "accumulator" else np.zeros_like(weight.array)

    def attributes(self) -> dict[str, Any]:
        return {short: float(getattr(self, name)) for short, name in self.RULE.items()}

    def get_config(self) -> dict[str, Any]:
        return super().get_config() | {name: getattr(self, name) for name in self.RULE.values()}


CLASSES: tuple[type[Optimizer], ...] = (
    SGD,
    Adam,
    AdamW,
    RMSprop,
    Adagrad,
    Adadelta,
    Adamax,
    Nadam,
    Lion,
    Ftrl,
)
