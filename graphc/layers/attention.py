"""Attention: means of values, weighed by how well queries and keys agree."""

from __future__ import annotations

from string import ascii_lowercase
from typing import Any

from graphc import constraints, initializers, ops, regularizers
from graphc.ir.errors import ArgumentError, ShapeError
from graphc.layers.einsum_dense import EinsumDense
from graphc.layers.layer import Layer
from graphc.layers.masks import mask_of
from graphc.layers.noise import Dropout

MASKED = -1e9
"""The score where there must be no attention, or what is added to it."""
KINDS = {"initializer": initializers, "regularizer": regularizers, "constraint": constraints}
WEIGHTS = ("kernel_initializer", "bias_initializer", "kernel_regularizer", "bias_regularizer")
CONSTRAINTS = ("kernel_constraint", "bias_constraint")


def causal_mask(queries: Any, values: Any) -> Any:
    """True where a place may look: at itself and at what came before; (1, queries, values)."""
    rows, columns = ops.arange(queries, dtype="int64"), ops.arange(values, dtype="int64")
    return ops.expand_dims(ops.expand_dims(rows, 1) >= ops.expand_dims(columns, 0), 0)


def window_mask(queries: Any, values: Any, width: int) -> Any:
    """True where two places are less than `width` apart; (1, queries, values)."""
    rows, columns = ops.arange(queries, dtype="int64"), ops.arange(values, dtype="int64")
    return ops.expand_dims(ops.abs(ops.expand_dims(rows, 1) - ops.expand_dims(columns, 0)) < width, 0)


def both(one: Any, other: Any) -> Any:
    """The logical and of two masks, either of which may be None."""
    if one is None or other is None:
        return other if one is None else one
    return ops.logical_and(one, other)


class MultiHeadAttention(Layer):
    """Attention in several subspaces (Vaswani et al. 2017, section 3.2.2).

    Args:
        num_heads: how many subspaces.
        key_dim: their size for queries and keys.
        value_dim: their size for values; None is `key_dim`.
        dropout: the probability that a weight of the mean is 0 in training.
        use_bias: whether the projections have biases.
        output_shape: of the result's last axes; None is the query's last axis.
        attention_axes: over which attention goes; None is all but the first and the last.
        sliding_window: look only at places less than this apart.
        use_gate: multiply the means with a sigmoid of a projection of the query.
        seed: of the dropout's own stream.

    Called as `layer(query, value, key=None)` on (batch, T, ...) and (batch, S, ...); `attention_mask` is true
    where a query may look at a value, (batch, T, S); masks of the inputs and `use_causal_mask` count too.

    >>> import graphc
    >>> x = graphc.Input((5, 8))
    >>> MultiHeadAttention(2, 4)(x, x).shape
    (None, 5, 8)
    """

    def __init__(
        self,
        num_heads: int,
        key_dim: int,
        value_dim: int | None = None,
        dropout: float = 0.0,
        use_bias: bool = True,
        output_shape: Any = None,
        attention_axes: Any = None,
        sliding_window: int | None = None,
        flash_attention: Any = None,
        kernel_initializer: Any = "glorot_uniform",
        bias_initializer: Any = "zeros",
        kernel_regularizer: Any = None,
        bias_regularizer: Any = None,
        activity_regularizer: Any = None,
        kernel_constraint: Any = None,
        bias_constraint: Any = None,
        use_gate: bool = False,
        seed: int | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        sizes = {"num_heads": num_heads, "key_dim": key_dim, "value_dim": value_dim or 1}
        for name, size in {**sizes, "sliding_window": sliding_window or 1}.items():
            if isinstance(size, bool) or not isinstance(size, int) or size <= 0:
                raise ArgumentError(
                    f"MultiHeadAttention: {name} must be a whole number above 0, not {size!r}"
                )
        self.num_heads, self.key_dim, self.value_dim = num_heads, key_dim, value_dim or key_dim
        self.dropout, self.use_bias, self.use_gate, self.seed = dropout, use_bias, use_gate, seed
        one = isinstance(output_shape, int)
        self.result_shape = (output_shape,) if one else tuple(output_shape) if output_shape else None
        self.attention_axes = (attention_axes,) if isinstance(attention_axes, int) else attention_axes
        self.sliding_window = sliding_window
        given = (kernel_initializer, bias_initializer, kernel_regularizer, bias_regularizer)
        for name, value in zip((*WEIGHTS, *CONSTRAINTS), (*given, kernel_constraint, bias_constraint)):
            setattr(self, name, KINDS[name.rpartition("_")[2]].get(value))
        self.inner_regularizer = regularizers.get(activity_regularizer)
        self.supports_masking = True

    def build(  # type: ignore[override]
        self, query_shape: Any, value_shape: Any, key_shape: Any = None
    ) -> None:
        key_shape = value_shape if key_shape is None else key_shape
        if tuple(value_shape[1:-1]) != tuple(key_shape[1:-1]):
            raise ShapeError(
                f"{self}: value and key may differ along the last axis only, got {value_shape} and "
                f"{key_shape}."
            )
        heads = self.num_heads
        self.query_dense = self._projection("query", query_shape, (heads, self.key_dim))
        self.key_dense = self._projection("key", key_shape, (heads, self.key_dim))
        if self.use_gate:
            self.gate_dense = self._projection("gate", query_shape, (heads, self.value_dim), "sigmoid")
        self.value_dense = self._projection("value", value_shape, (heads, self.value_dim))
        rank = len(value_shape) + 1
        axes = tuple(range(1, rank - 2)) if self.attention_axes is None else tuple(self.attention_axes)
        self.attention_axes = tuple(a if a >= 0 else rank - 1 + a for a in axes)
        self.dropout_layer = Dropout(self.dropout, seed=self.seed) if self.dropout else None
        inner = (*query_shape[:-1], heads, self.value_dim)
        result = self.result_shape or (query_shape[-1],)
        self.output_dense = self._projection("attention_output", inner, result, bound=2)

    def _projection(
        self, name: str, shape: Any, output: tuple[int, ...], activation: Any = None, bound: int = 1
    ) -> EinsumDense:
        """A dense layer from the last `bound` axes to others."""
        free, letters = len(shape) - bound, ascii_lowercase
        kept, summed = letters[:free], letters[free : free + bound]
        new = letters[free + bound : free + bound + len(output)]
        made = EinsumDense(
            f"{kept}{summed},{summed}{new}->{kept}{new}",
            (*(None,) * (free - 1), *output),
            activation=activation,
            bias_axes=new if self.use_bias else None,
            name=name,
            dtype=self.dtype,
            activity_regularizer=self.inner_regularizer,
            **{n: getattr(self, n) for n in (*WEIGHTS, *CONSTRAINTS)},
        )
        made.build(shape)
        return made

    def call(
        self,
        query: Any,
        value: Any,
        key: Any = None,
        query_mask: Any = None,
        value_mask: Any = None,
        key_mask: Any = None,
        attention_mask: Any = None,
        return_attention_scores: bool = False,
        training: bool = False,
        use_causal_mask: bool = False,
    ) -> Any:
        own_mask = mask_of(query)  # as in Keras, which takes the query's own mask whatever the argument is
        mask = None if attention_mask is None else ops.cast(attention_mask, "bool")
        if own_mask is not None:
            mask = both(mask, ops.expand_dims(own_mask, -1))
        for found in (value_mask, key_mask):
            if found is not None:
                mask = both(mask, ops.expand_dims(ops.cast(found, "bool"), -2))
        if use_causal_mask:
            mask = both(mask, causal_mask(query.shape[1], value.shape[1]))
        if self.sliding_window is not None:
            mask = both(mask, window_mask(query.shape[1], value.shape[1], self.sliding_window))
        gate = self.gate_dense(query) if self.use_gate else None
        q, k, v = (
            self.query_dense(query),
            self.key_dense(value if key is None else key),
            self.value_dense(value),
        )
        means, weights = self._attend(q, k, v, mask, training)
        result = self.output_dense(means if gate is None else means * gate)
        if own_mask is not None:
            result._mask = own_mask
        return (result, weights) if return_attention_scores else result

    def _attend(self, query: Any, key: Any, value: Any, mask: Any, training: bool) -> tuple[Any, Any]:
        """The means and their weights, of projected queries, keys and values."""
        products, means = equations(query.ndim, self.attention_axes)
        scores = ops.einsum(products, key, query * self.key_dim**-0.5)
        over = len(self.attention_axes)
        if mask is not None:
            while mask.ndim < scores.ndim:
                mask = ops.expand_dims(mask, -2 * over - 1)
            scores = ops.where(mask, scores, MASKED)
        weights = ops.softmax(scores, axis=tuple(range(scores.ndim - over, scores.ndim)))
        kept = weights if self.dropout_layer is None else self.dropout_layer(weights, training=training)
        return ops.einsum(means, kept, value), weights

    def compute_mask(self, inputs: Any, previous_mask: Any) -> Any:
        return None

    def get_config(self) -> dict[str, Any]:
        def stored(names: tuple[str, ...]) -> dict[str, Any]:
            return {n: KINDS[n.rpartition("_")[2]].serialize(getattr(self, n)) for n in names}

        own = ("num_heads", "key_dim", "value_dim", "dropout", "use_bias", "use_gate")
        return {
            **super().get_config(),
            **{n: getattr(self, n) for n in own},
            "output_shape": self.result_shape,
            "attention_axes": self.attention_axes,
            "sliding_window": self.sliding_window,
            **stored(WEIGHTS),
            "activity_regularizer": regularizers.serialize(self.inner_regularizer),
            **stored(CONSTRAINTS),
            "seed": self.seed,
        }


def equations(rank: int, axes: tuple[int, ...]) -> tuple[str, str]:
    """The einsums of (keys, queries) to scores and of (scores, values) to means, for projections of this rank
    (batch, ..., heads, size) with attention over these axes.

    >>> equations(4, (1,))
    ('aecd,abcd->acbe', 'acbe,aecd->abcd')
    """
    query = ascii_lowercase[:rank]
    others = dict(zip(axes, ascii_lowercase[rank:]))
    key = "".join(others.get(i, c) for i, c in enumerate(query))
    batch = "".join(query[i] for i in range(rank - 1) if i not in axes)
    scores = batch + "".join(query[i] for i in axes) + "".join(key[i] for i in axes)
    return f"{key},{query}->{scores}", f"{scores},{key}->{query}"


class Attention(Layer):
    """Attention by products (Luong et al. 2015): `layer([query, value])` or `layer([query, value, key])` on
    (batch, T, size), (batch, S, size).

    Args:
        use_scale: whether scores are multiplied with a weight.
        score_mode: "dot" for query . key, "concat" for a sum of tanh(query + key).
        dropout: the probability that a weight of the mean is 0 in training.
        seed: of the dropout's own stream.

    `mask=[query_mask, value_mask]`; queries that are masked give 0.

    >>> import graphc
    >>> Attention()([graphc.Input((3, 4)), graphc.Input((5, 4))]).shape
    (None, 3, 4)
    """

    def __init__(
        self,
        use_scale: bool = False,
        score_mode: str = "dot",
        dropout: float = 0.0,
        seed: int | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        if score_mode not in ("dot", "concat"):
            raise ArgumentError(f"score_mode must be 'dot' or 'concat', not {score_mode!r}")
        self.use_scale, self.score_mode, self.dropout, self.seed = use_scale, score_mode, dropout, seed
        self.dropout_layer = Dropout(dropout, seed=seed) if dropout else None
        self.supports_masking = True

    def build(self, input_shape: Any) -> None:
        self._check(input_shape)
        self.scale = self.add_weight(name="scale", shape=(), initializer="ones") if self.use_scale else None
        self.concat_score_weight = (
            self.add_weight(name="concat_score_weight", shape=(), initializer="ones")
            if self.score_mode == "concat"
            else None
        )

    def _check(self, inputs: Any) -> None:
        if not isinstance(inputs, (list, tuple)) or not 2 <= len(inputs) <= 3:
            raise ArgumentError(f"{self} takes a list [query, value] or [query, value, key].")

    def scores(self, query: Any, key: Any) -> Any:
        """How well queries and keys agree: (batch, T, S)."""
        if self.score_mode == "dot":
            found = ops.matmul(query, ops.swapaxes(key, -2, -1))
            return found if self.scale is None else found * self.scale
        total = ops.expand_dims(query, -2) + ops.expand_dims(key, -3)
        total = total if self.scale is None else total * self.scale
        return self.concat_score_weight * ops.sum(ops.tanh(total), axis=-1)

    def call(
        self,
        inputs: Any,
        mask: Any = None,
        training: bool = False,
        return_attention_scores: bool = False,
        use_causal_mask: bool = False,
    ) -> Any:
        self._check(inputs)
        query, value = inputs[0], inputs[1]
        query_mask, value_mask = (mask[0], mask[1]) if mask else (None, None)
        scores = self.scores(query, inputs[2] if len(inputs) > 2 else value)
        allowed = None if value_mask is None else ops.expand_dims(ops.cast(value_mask, "bool"), -2)
        if use_causal_mask:
            allowed = both(allowed, causal_mask(query.shape[1], value.shape[1]))
        if allowed is not None:
            scores = ops.where(allowed, scores, scores + MASKED)
        weights = ops.softmax(scores, axis=-1)
        if self.dropout_layer is not None:
            weights = self.dropout_layer(weights, training=training)
        result = ops.matmul(weights, value)
        if query_mask is not None:
            valid = ops.expand_dims(ops.cast(query_mask, "bool"), -1)
            result = ops.where(valid, result, ops.zeros_like(result))
        return (result, weights) if return_attention_scores else result

    def compute_mask(self, inputs: Any, previous_mask: Any) -> Any:
        return previous_mask[0] if isinstance(previous_mask, (list, tuple)) else None

    def get_config(self) -> dict[str, Any]:
        own = ("use_scale", "score_mode", "dropout", "seed")
        return {**super().get_config(), **{n: getattr(self, n) for n in own}}


class AdditiveAttention(Attention):
    """Attention by sums (Bahdanau et al. 2015): scores are sum(scale * tanh(query + key)); the rest is as in
    `Attention`.

    >>> import graphc
    >>> AdditiveAttention()([graphc.Input((3, 4)), graphc.Input((5, 4))]).shape
    (None, 3, 4)
    """

    def __init__(self, use_scale: bool = True, dropout: float = 0.0, **kwargs: Any) -> None:
        super().__init__(use_scale=use_scale, dropout=dropout, **kwargs)

    def build(self, input_shape: Any) -> None:
        self._check(input_shape)
        size = input_shape[0][-1]
        self.scale = (
            self.add_weight(name="scale", shape=(size,), initializer="glorot_uniform")
            if self.use_scale
            else None
        )

    def scores(self, query: Any, key: Any) -> Any:
        found = ops.tanh(ops.expand_dims(query, -2) + ops.expand_dims(key, -3))
        return ops.sum(found if self.scale is None else self.scale * found, axis=-1)

    def get_config(self) -> dict[str, Any]:
        return {n: v for n, v in super().get_config().items() if n != "score_mode"}
