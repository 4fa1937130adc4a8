"""The forms of grad, value_and_grad, vjp and check_grads, their breaks, and their errors."""

import collections
import contextlib
import copy
import functools
import io
import pickle
import threading

import numpy as np
import pytest

import graphc
from graphc.ir.errors import ArgumentError, DTypeError, GradientError, NumericsError, ShapeError
from graphc.npjit import recording

X = np.array([0.5, -1.0, 2.0])


def cubes(x):
    return np.sum(x**3)


def test_the_same_array_twice_is_two_arguments():
    f = graphc.grad(lambda a, b: np.sum(a * b**2))
    for _ in range(3):
        np.testing.assert_allclose(f(X, X), X**2)
    both = graphc.grad(lambda a, b: np.sum(a * b**2), argnums=(0, 1))(X, X)
    np.testing.assert_allclose(both, [X**2, 2 * X * X])
    tied = {"a": X, "b": X}
    g = graphc.grad(lambda p: np.sum(p["a"] * p["b"] ** 2))(tied)
    np.testing.assert_allclose(g["b"], 2 * X * X)
    assert g["a"] is not g["b"]


def test_an_argument_that_is_also_a_global_is_a_constant_there():
    anchor = X
    f = graphc.grad(lambda w: np.sum(w * anchor))
    np.testing.assert_allclose(f(X), X)
    np.testing.assert_allclose(f(X * 2), X)


def test_overlapping_arguments():
    buffer = np.arange(6.0)
    g = graphc.grad(lambda a, b: np.sum(a * b), argnums=(0, 1))(buffer[:4], buffer[2:])
    np.testing.assert_allclose(g, [buffer[2:], buffer[:4]])


def test_gradients_are_new_arrays():
    a, b = graphc.grad(lambda x, y: np.sum(x + y), argnums=(0, 1))(X, X.copy())
    a += 1
    assert b.tolist() == [1, 1, 1]
    y = np.ones(3)
    g = graphc.grad(lambda x: np.sum(x * y))
    for _ in range(4):
        found = g(X)
        found += 1
    assert y.tolist() == [1, 1, 1]
    kept = [g(X) for _ in range(2)]
    kept[0][:] = 9
    assert kept[1].tolist() == [1, 1, 1]


def test_aux_outputs():
    def loss(w, x):
        hidden = w * x
        return np.sum(hidden**2), {"hidden": hidden, "w": w, "n": 3}

    (value, aux), g = graphc.value_and_grad(loss, has_aux=True)(X, X)
    assert value == np.sum(X**4)
    np.testing.assert_allclose(aux["hidden"], X**2)
    assert aux["w"] is X
    assert aux["n"] == 3
    g2, aux2 = graphc.grad(loss, has_aux=True)(X, X)
    np.testing.assert_array_equal(g, g2)
    assert list(aux2) == ["hidden", "w", "n"]


def test_decorators_and_keywords():
    @graphc.grad
    def first(x, power=3):
        return np.sum(x**power)

    @graphc.value_and_grad(argnums=(1,))
    def second(x, y, *, scale=1.0):
        return np.sum(x * y) * scale

    np.testing.assert_allclose(first(X), 3 * X**2)
    np.testing.assert_allclose(first(X, power=2), 2 * X)
    value, (g,) = second(X, X * 2, scale=2.0)
    assert value == np.sum(X * X * 2) * 2
    np.testing.assert_allclose(g, 2 * X)


def test_methods():
    class Model:
        def __init__(self):
            self.scale, self.calls = 2.0, 0

        def loss(self, w):
            self.calls += 1
            return np.sum(w**2) * self.scale

        gradient = graphc.grad(loss, argnums=1)

    m = Model()
    f = graphc.grad(m.loss)
    for i in range(3):
        np.testing.assert_allclose(f(X), 2 * X * m.scale)
        m.scale += 1
        assert m.calls == i + 1
    np.testing.assert_allclose(m.gradient(X), 2 * X * m.scale)


def test_state_outside_is_read_anew():
    config = {"rate": 1.0, "w": X.copy()}
    f = graphc.grad(lambda x: np.sum(x * config["w"]) * config["rate"])
    np.testing.assert_allclose(f(X), X)
    config["rate"] = 3.0
    config["w"] *= 2
    np.testing.assert_allclose(f(X), X * 6)


def test_shapes_and_dtypes_change_between_calls():
    f = graphc.value_and_grad(lambda w, x: np.mean(np.tanh(x @ w)))
    for n, kind in ((3, "f8"), (5, "f8"), (1, "f8"), (4, "f4"), (0, "f8")):
        w, x = np.ones(2, kind), np.full((n, 2), 0.5, kind)
        with contextlib.nullcontext() if n else pytest.warns(RuntimeWarning):
            value, g = f(w, x)
        assert g.dtype == kind
        assert type(value) is np.dtype(kind).type
        if n:
            np.testing.assert_allclose(g, np.full(2, 0.5 * (1 - np.tanh(1.0) ** 2)), rtol=1e-6)


def test_second_order_and_mixtures_with_jit():
    f = graphc.grad(graphc.grad(lambda x: np.sin(x) * x**3))
    for x in (0.7, 1.3):
        np.testing.assert_allclose(f(x), -np.sin(x) * x**3 + 6 * x**2 * np.cos(x) + 6 * x * np.sin(x))
    inner = graphc.grad(cubes)
    np.testing.assert_allclose(graphc.grad(lambda x: np.sum(inner(x) * x))(X), 9 * X**2)
    np.testing.assert_allclose(graphc.jit(inner)(X), 3 * X**2)
    np.testing.assert_allclose(graphc.grad(graphc.jit(cubes))(X), 3 * X**2)
    third = graphc.grad(graphc.grad(graphc.grad(lambda x: x**5)))
    np.testing.assert_allclose(third(1.5), 60 * 1.5**2)

    @graphc.jit
    def step(w, rate):
        value, g = graphc.value_and_grad(cubes)(w)
        w -= rate * g
        return value

    w = X.copy()
    for _ in range(3):
        before = w.copy()
        assert np.isclose(step(w, 0.1), np.sum(before**3))
        np.testing.assert_allclose(w, before - 0.3 * before**2)


def test_inner_gradients_take_outer_values_as_constants():
    def f(x):
        y = x * 2
        return np.sum(graphc.grad(lambda v: np.sum(v * y))(y))  # the gradient is y, not 2 y

    np.testing.assert_allclose(graphc.grad(f)(X), [2, 2, 2])

    def hessian_vector(x, v):
        return graphc.grad(lambda z: np.sum(graphc.grad(cubes)(z) * v))(x)

    np.testing.assert_allclose(graphc.jit(hessian_vector)(X, np.ones(3)), 6 * X)


def test_vjp_of_functions():
    f = graphc.vjp(lambda x, y, n: (x * y, np.sum(x) * n))
    gx, gy, gn = f(X, X * 2, 3, (np.ones(3), 1.0))
    np.testing.assert_allclose(gx, X * 2 + 3)
    np.testing.assert_allclose(gy, X)
    assert gn is None
    np.testing.assert_allclose(graphc.vjp(np.sin, argnums=0)(X, X), np.cos(X) * X)
    with pytest.raises(ShapeError, match=r"must have its shape \(3,\), but got \(2,\)"):
        graphc.vjp(np.sin)(X, np.ones(2))
    with pytest.raises(ArgumentError, match="2 results, but got 1"):
        f(X, X, 3, (X,))


def silent(f, *args):
    with contextlib.redirect_stdout(io.StringIO()) as text:
        return f(*args), text.getvalue()


def test_values_that_python_saw_stay_connected():
    class Log:
        last = None

    log = Log()

    def loss(p):
        losses = []
        for x in (p["w"], p["w"] * 2):
            losses.append(float(np.sum(x**2)))
            log.last = losses[-1] * p["scale"]
            print(losses, p, log.last)
        return sum(losses) * p["scale"] + log.last

    p = {"w": X.copy(), "scale": 0.5}
    for _ in range(2):
        g, text = silent(graphc.grad(loss), copy.deepcopy(p))
        np.testing.assert_allclose(g["w"], 2 * X * 0.5 + 8 * X * 0.5 + 8 * X * 0.5)
        np.testing.assert_allclose(g["scale"], np.sum(X**2) * 9)
        assert type(g["scale"]) is float
        assert text.count("array(") == 2
        assert type(log.last) is float


def test_memory_that_is_overwritten_after_a_break():
    state = np.ones(3)

    def loss(x, y):
        y = y * state
        a = x**2 + np.sin(y)
        view = x[1:]
        b = np.sum(view * a[1:])
        print(a[0])
        x[:] = 7
        state[:] = 5
        a[1] = 0
        print(a[1], x[0])
        return b + np.sum(a**2) + np.sum(x * y)

    def expected(x, y):
        f = graphc.grad(lambda x, y: np.sum(x[1:] * (x**2 + np.sin(y))[1:]) + np.sum(
            ((x**2 + np.sin(y)) * np.array([1, 0, 1])) ** 2) + np.sum(7 * y), argnums=(0, 1))  # fmt: skip
        return f(x, y)

    want = expected(X.copy(), X * 2)
    f = graphc.grad(loss, argnums=(0, 1))
    for _ in range(2):
        state[:] = 1
        x = X.copy()
        found, _ = silent(f, x, X * 2)
        for g, w in zip(found, want):
            np.testing.assert_allclose(g, w)
        assert x.tolist() == [7, 7, 7]
        assert state.tolist() == [5, 5, 5]


def test_foreign_functions_without_gradient_are_errors_only_in_the_way():
    known = eval("lambda x: x * 2")  # has no source
    hide = functools.lru_cache(lambda n: n + 1)

    def around(x):
        scale = hide(2)
        return np.sum(x**2) * scale

    np.testing.assert_allclose(graphc.grad(around)(X), 6 * X)

    def beside(x):
        shown = known(x)
        return np.sum(x**2) + (0 if shown is None else 1)

    np.testing.assert_allclose(graphc.grad(beside)(X), 2 * X)

    def through(x):
        return np.sum(known(x))

    with pytest.raises(
        GradientError, match=r"no gradient of .*lambda.*\n  called  at test_gradient_forms.py:\d+\n  fix"
    ):
        graphc.grad(through)(X)

    def in_place(x):
        y = x * 1.0
        change(y)
        return np.sum(y * x)

    change = eval("lambda y: y.__setitem__(0, 3.0)")
    with pytest.raises(GradientError, match="no gradient of"):
        graphc.grad(in_place)(X)
    with pytest.raises(GradientError, match=r"no gradient of np\.absolute of complex numbers"):
        graphc.grad(lambda x: np.sum(np.abs(np.fft.rfft(x))))(X)
    with pytest.raises(GradientError, match=r"no gradient of .*poly1d"):
        graphc.grad(lambda x: np.poly1d(x)(2.0))(X)


def test_lists_from_data_stay_connected():
    def loss(x):
        values = (x**2).tolist()
        return sum(values) + (x * 3).item(1) * values[0]

    np.testing.assert_allclose(graphc.grad(loss)(X), 2 * X + [6 * X[0] * X[1], 3 * X[0] ** 2, 0])


def test_arguments_without_gradient():
    g = graphc.grad(lambda p, k: np.sum(p["x"][k] * p["n"]))(
        {"x": X, "n": 2, "k": k_array(), "s": "a", "f": np.sin}, 1
    )
    assert g["x"].tolist() == [0, 2, 0]
    assert [g[name] for name in ("n", "k", "s", "f")] == [None] * 4
    assert graphc.grad(lambda n, x: np.sum(x) * n)(3, X) is None
    assert graphc.grad(lambda x, y: np.sum(y))(X, X).tolist() == [0, 0, 0]
    assert graphc.grad(lambda x: 3.0)(X).tolist() == [0, 0, 0]


def k_array():
    return np.arange(3)


ERRORS = [
    (
        lambda x: x * 2,
        (X,),
        {},
        GradientError,
        r"must return one real number .* array of shape \(3,\), float64",
    ),
    (
        lambda x: (np.sum(x), x),
        (X,),
        {},
        GradientError,
        "returned a tuple.*\n  fix     return the loss alone, or .*has_aux",
    ),
    (lambda x: None, (X,), {}, GradientError, "returned None"),
    (lambda x: np.sum(x > 0), (X,), {}, GradientError, "number of int64, whose gradient is zero"),
    (lambda x: np.sum(x), (X,), {"has_aux": True}, GradientError, "must return .value, aux."),
    (
        lambda x: np.sum(x),
        (X,),
        {"argnums": 1},
        ArgumentError,
        "argnums=1 names argument 1, but .* with 1 pos",
    ),
    (lambda x: np.sum(x), (X,), {"argnums": (0, -2)}, ArgumentError, "names argument -2"),
    (lambda x: np.sum(x).real, (X + 1j,), {}, DTypeError, "real values, but got complex128"),
    (lambda x: np.sum(x), (np.array([1.0, None]),), {}, DTypeError, "a ndarray of object elements"),
    (lambda x: np.sum(np.quantile(x, 0.3, method="lower")), (X,), {}, ArgumentError, "method='linear' only"),
    (
        lambda x: np.sum(np.pad(x, 1, constant_values=x[0])),
        (X,),
        {},
        GradientError,
        "a keyword argument of np.pad",
    ),
    (lambda x: np.sum(np.i0(x)), (X,), {}, GradientError, r"np\.i0"),
    (lambda x: np.fft.fft(x).real.sum(), (X,), {}, GradientError, "real of complex numbers"),
    (lambda x: np.fft.fft(x)[0].real, (X,), {}, GradientError, "of complex numbers"),
    (lambda x: np.exp(1j * x).imag.sum(), (X,), {}, GradientError, "imag of complex numbers"),
    (lambda x: abs(complex(x[0], 1)), (X,), {}, GradientError, "no gradient of"),
    (eval("lambda x: x[0]"), (X,), {}, GradientError, "<lambda>: its source is not to be found"),
    (lambda x: np.sum(np.random.permutation(x)), (X,), {}, GradientError, "permutation"),
    (
        lambda x: np.histogram(x, bins=2, weights=x)[0].sum(),
        (X,),
        {},
        GradientError,
        "keyword argument of np.histogram|np.histogram",
    ),
    (lambda x: np.linalg.eig(x * np.eye(3))[1].sum(), (X,), {}, GradientError, "np.eig"),
]


@pytest.mark.parametrize("case", ERRORS, ids=range(len(ERRORS)))
def test_errors(case):
    fn, args, options, kind, text = case
    f = graphc.grad(fn, **options)
    for _ in range(2):
        with pytest.raises(kind, match=text):
            f(*args)


def test_errors_of_the_function_are_its_own():
    def loss(x, log):
        log.append(1)
        x[0] = 5
        return np.sum(x @ np.ones((2, 2)))

    x, log = X.copy(), []
    with pytest.raises(ValueError, match="matmul"):
        graphc.grad(loss)(x, log)
    assert log == [1]
    assert x[0] == 5
    with pytest.raises(np.linalg.LinAlgError):
        graphc.grad(lambda a: np.sum(np.linalg.inv(a)))(np.zeros((2, 2)))
    with pytest.raises(GradientError, match="differentiates functions, but got a int"):
        graphc.grad(3)


def test_check_grads():
    graphc.check_grads(
        lambda x, p: np.tanh(x @ p["W"]) * p["s"], (np.ones((2, 3)), {"W": np.eye(3), "s": 0.3}), order=2
    )
    graphc.check_grads(np.sinc, X)
    graphc.check_grads(lambda x: (x**2, np.sum(x)), [X.astype("f4")])

    def wrong(x):
        return np.sum(x**2) + np.sum(np.floor(x * 1e6)) * 1e-3

    with pytest.raises(
        NumericsError, match=r"gradient with respect to args\[0\]\['w'\] is .* differences give"
    ):
        graphc.check_grads(lambda p: wrong(p["w"]), [{"w": X}])
    with pytest.raises(ArgumentError, match="order=1 or 2"):
        graphc.check_grads(cubes, X, order=3)


SECOND = {
    "products": lambda x, w: np.sum(np.tanh(x @ w) ** 2) + np.sum(np.einsum("ij,jk->ik", x, w) ** 3),
    "norms": lambda x, w: np.linalg.norm(x) + np.sum(np.linalg.norm(w, axis=0)) + np.std(x) * np.var(w),
    "indexing": lambda x, w: np.sum(x[[0, 1, 1]] ** 3) + np.sum(w[:, 1] ** 2 * x[0]) + np.prod(x[0]),
    "choices": lambda x, w: np.sum(np.where(x > 0, x**3, np.sin(x))) + np.sum(np.maximum(w, 0.1) ** 2),
    "softmax": lambda x, w: np.sum(np.log(np.sum(np.exp(x @ w), axis=1))) + np.sum(np.cumsum(x, 0) ** 2),
    "linalg": lambda x, w: (
        np.linalg.slogdet(w @ w.T + np.eye(3))[1] + np.sum(np.linalg.inv(w + 3 * np.eye(3)))
    ),
    "joined": lambda x, w: (
        np.sum(np.concatenate([x, w]) ** 3) + np.sum(np.sort(x, axis=0)[0] ** 2 * np.pad(w[0], 0))
    ),
}


SECOND |= {
    "singular values": lambda x, w: (
        np.sum(np.linalg.svd(x)[1] ** 3) + np.sum(np.linalg.svd(x)[0] ** 4 * x[0, 0])
    ),
}


@pytest.mark.parametrize("name", SECOND)
def test_second_derivatives(name):
    r = np.random.default_rng(1)
    graphc.check_grads(SECOND[name], (r.normal(size=(2, 3)), r.normal(size=(3, 3))), order=2)


@pytest.mark.parametrize("f", [np.cumprod, np.prod, np.nancumprod])
def test_second_derivatives_of_products_with_zeros(f):
    c = np.arange(1.0, 6)
    graphc.check_grads(lambda x: np.sum(f(x) * c), np.array([1.0, 0, 2, 0, 3]), order=2)
    graphc.check_grads(
        lambda x: np.sum(f(x, axis=0) * c), np.array([[1.0, 0, 2, 0, 3], [0] * 5, [4] * 5]), order=2
    )


def test_second_derivatives_of_stores():
    def loss(x):
        h = np.zeros((4, 3))
        h[0] = x
        for t in range(3):
            h[t + 1] = np.sin(h[t]) * x
            h[t + 1, 0] += h[t, 1] ** 2
        return np.sum(h**2)

    graphc.check_grads(loss, X, order=2)


def test_threads_share_a_gradient():
    f, found = graphc.grad(lambda w, x: np.sum(np.tanh(w * x))), {}

    def run(i):
        for _ in range(5):
            found[i] = f(X * i, X)

    threads = [threading.Thread(target=run, args=(i,)) for i in range(4)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    for i in range(4):
        np.testing.assert_allclose(found[i], X * (1 - np.tanh(X * X * i) ** 2))


module_gradient = graphc.grad(cubes)


def test_pickles_and_text():
    f = pickle.loads(pickle.dumps(graphc.value_and_grad(cubes, argnums=(0,))))
    np.testing.assert_allclose(f(X)[1][0], 3 * X**2)
    assert "cubes" in repr(f)
    assert copy.deepcopy(module_gradient) is module_gradient
    module_gradient(X)
    assert "cubes: 1 recordings" in module_gradient.explain()


def test_many_calls_with_breaks():
    def loss(x):
        while np.sum(x * x) > 1:
            x = x * 0.5
        return np.sum(x**3)

    f = graphc.grad(loss)
    for i in range(12):
        np.testing.assert_allclose(f(X + i), 3 * (X + i) ** 2 * halvings(X + i) ** 3)
    assert f.recordings < 12


def halvings(x):
    factor = 1.0
    while np.sum((x * factor) ** 2) > 1:
        factor *= 0.5
    return factor


def test_many_sizes():
    f = graphc.value_and_grad(lambda w, x: np.mean((x @ w - 1) ** 2))
    for n in (*range(2, 14), 3, 1, 2):
        w, x = np.ones(2), np.arange(2.0 * n).reshape(n, 2)
        value, g = f(w, x)
        np.testing.assert_allclose(g, 2 * x.T @ (x @ w - 1) / n)
        assert value == np.mean((x @ w - 1) ** 2)


def test_sizes_become_symbols():
    f = graphc.value_and_grad(lambda w, x: np.mean(np.maximum(x @ w["W"] + w["b"], 0)[:, 0] ** 2))
    r = np.random.default_rng(0)
    w = {"W": r.normal(size=(2, 3)), "b": r.normal(size=3)}
    for n in range(2, 16):
        x = r.normal(size=(n, 2))
        _, g = f(w, x)
        h = np.maximum(x @ w["W"] + w["b"], 0)[:, :1] * np.array([[2.0, 0, 0]]) / n
        np.testing.assert_allclose(g["W"], x.T @ h)
        np.testing.assert_allclose(g["b"], h.sum(axis=0))
    assert f.recordings == 2


def test_callable_objects_and_partial_functions():
    class Scaled:
        def __init__(self):
            self.w = X * 2

        def __call__(self, x):
            return np.sum(x**2 * self.w)

    scaled = Scaled()
    f = graphc.grad(scaled)
    offset = X.copy()
    h = graphc.value_and_grad(functools.partial(lambda a, x, k=1: np.sum(x * a) * k, offset, k=3))
    for i in range(4):
        np.testing.assert_allclose(f(X), 2 * X * scaled.w)
        _, g = h(X)
        np.testing.assert_allclose(g, 3 * offset)
        scaled.w = scaled.w + i
        offset += 1
    assert f.recordings == h.recordings == 1


def test_arrays_with_two_names_that_are_changed():
    def loss(p):
        p["a"] *= 2
        return np.sum(p["a"] * p["b"])

    shared = X.copy()
    with pytest.raises(GradientError, match="changed in place and is reached under another name"):
        graphc.grad(loss)({"a": shared, "b": shared})
    with pytest.raises(GradientError, match="pass a copy of it"):
        graphc.grad(lambda a, b: np.sum(np.multiply(a, 2, out=a) * b))(shared, shared)
    assert shared.tolist() == X.tolist()
    g = graphc.grad(loss)({"a": shared, "b": shared.copy()})
    np.testing.assert_allclose(g["a"], 2 * X)


def test_an_object_keeps_its_own_state():
    class Net:
        def __init__(self):
            self.W, self.losses, self.steps = np.ones((2, 2)), [], 0

        def loss(self, x):
            self.steps += 1
            self.hidden = np.tanh(x @ self.W)
            value = np.mean(self.hidden**2)
            self.losses.append(float(value))
            return value

    net, plain, x = Net(), Net(), np.ones((3, 2))
    f = graphc.value_and_grad(lambda n, x: n.loss(x))
    for _ in range(5):
        value, g = f(net, x)
        assert plain.loss(x) == value
        assert (net.steps, net.losses) == (plain.steps, plain.losses)
        assert type(net.hidden) is np.ndarray
        np.testing.assert_allclose(g.W, x.T @ (2 * net.hidden * (1 - net.hidden**2)) / 6)
        net.W -= 0.1 * g.W
        plain.W = net.W.copy()


class Slotted:
    __slots__ = ("__bias", "w")

    def __init__(self, w, bias):
        self.w, self.__bias = w, bias

    def __call__(self, x):
        return self.w * x + self.__bias

    def bias(self):
        return self.__bias


def test_objects_with_slots_and_deques():
    part = Slotted(X.copy(), 2.0)
    f = graphc.grad(lambda parts, x: np.sum(parts[0](x) ** 2) + np.sum(parts[1] ** 2))
    for _ in range(3):
        g = f(collections.deque([part, X], maxlen=3), X)
        assert (type(g), g.maxlen, type(g[0])) == (collections.deque, 3, Slotted)
        np.testing.assert_allclose(g[0].w, 2 * (X * X + 2) * X)
        np.testing.assert_allclose(g[0].bias(), np.sum(2 * (X * X + 2)))
        np.testing.assert_allclose(g[1], 2 * X)
    assert f.recordings == 1
    graphc.check_grads(lambda p, x: np.sum(p(x) ** 2), (part, X))
    with pytest.raises(NumericsError, match=r"args\[0\].w is "):
        graphc.check_grads(lambda p, x: np.sum(np.floor(p.w * 1e6)) * 1e-3, (part, X))

    def rotated(d):
        d.append(d.popleft() * 2)
        return np.sum(d[0] * d[-1])

    d = collections.deque([X, X + 1])
    g = graphc.grad(rotated)(d)
    np.testing.assert_allclose(g[0], 2 * (X + 1))
    np.testing.assert_allclose(d[1], 2 * X)


def test_vjp_of_containers_in_containers():
    f = graphc.vjp(lambda x: {"a": x * 2, "more": [3, (x**2, None)]})
    for _ in range(2):
        np.testing.assert_allclose(f(X, {"a": X, "more": [None, (X, None)]})[0], 2 * X + 2 * X * X)
    np.testing.assert_allclose(f(X, {"a": X, "more": None})[0], 2 * X)
    with pytest.raises(ArgumentError, match=r"2 results \['a', 'more'\], but got 1 cotangents \['a'\]"):
        f(X, {"a": X})
    with pytest.raises(GradientError, match="returned a object, for which there are no cotangents"):
        graphc.vjp(lambda x: object())(X, X)


def test_an_argument_that_is_named_twice():
    a, b = graphc.grad(lambda x: np.sum(x**2), argnums=(0, 0))(X)
    a[0] = 9
    np.testing.assert_allclose(b, 2 * X)


@pytest.mark.parametrize(("most", "once"), [(10_000, True), (100, False)])
def test_long_loops(monkeypatch, most, once):
    monkeypatch.setattr(recording, "LIMIT", 100)
    monkeypatch.setattr(recording, "WHOLE", most)

    def loss(w):
        x = np.ones(3)
        for _ in range(60):
            x = np.sin(w * x) + x
        return np.sum(x)

    def by_hand(w):
        x, slope = np.ones(3), np.zeros(3)
        for _ in range(60):
            slope = np.cos(w * x) * (x + w * slope) + slope
            x = np.sin(w * x) + x
        return slope

    f = graphc.grad(loss)
    for i in range(3):
        np.testing.assert_allclose(f(X * 0.1 * i), by_hand(X * 0.1 * i))
    assert ("graph break" not in f.explain()) is once
    assert (f.recordings == 1) is once
