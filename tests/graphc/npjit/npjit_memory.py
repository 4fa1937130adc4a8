"""Programs about memory, element types and random numbers."""

import numpy as np
from npjit_differences import R, prog

V = lambda i, *s: R(i).normal(size=s or (4,))


def many(fs, *a):
    """each function's result or exception"""
    out = []
    for f in fs:
        try:
            out.append(f(*a))
        except Exception as e:
            out.append((type(e).__name__, str(e)))
    return out


@prog(lambda i: (V(i, 3, 4), np.array([0, 2]), np.array([True, False, True])))
def fancy_writes(x, l, m):
    y = x.copy()
    y[l] = 0
    y[m] += 1
    y[:, l] *= 2
    y[m, 1] = 9
    y[np.ix_([0, 2], [1, 3])] -= 1
    y[[0, 0, 1]] += 1
    y[..., 0] = [1, 2, 3]
    y[None, 0] = 7
    y[y > 5] = 5
    y[[0, 1], [2, 3]] = [8, 9]
    y[::-1] = y
    y[:, 1:] = y[:, :-1]
    y[1:, :] += y[:-1]
    y.T[0] = 3
    y[-1] = y[0]
    y[0], y[1] = (y[1].copy(), y[0].copy())
    y[[0, 1]] = y[[1, 0]]
    y.flat[2] = 5
    y.ravel()[5] = 6
    y.reshape(4, 3)[1] = 1
    y[m] = y[m] * 2
    y[~m] = x[:1]
    y[1, 1] = np.array(3.0)
    y[...] = np.where(y > 2, y, -y)
    x[:] = y[::-1]
    y[l[0]] = 4
    y[l, 1] = l
    y.fill(2) if y.sum() > 1000000000.0 else None
    z = np.zeros(3, int)
    z[0] = 7.9
    z[1] = True
    z[l] += np.array([1, 2])
    w = np.zeros(2, np.uint8)
    w[0] = 255
    w += np.uint8(3)
    return (y, z, w)


@prog(lambda i: (V(i, 6), V(i, 3, 3)))
def overlaps(a, b):
    a[1:] = a[:-1]
    a[:-1] += a[1:]
    a[::2] = a[1::2]
    a[::-1] += a
    b += b.T
    b[:] = b.T
    b[0] = b[:, 0]
    b[1:] -= b[:-1] * 0.5
    np.add(a, a[0], out=a)
    np.multiply(b, b[:1], out=b)
    c = a[2:]
    d = a[:4]
    c *= 2
    d += c
    e = a.reshape(2, 3)
    e[0] = e[1]
    e.T[0] = 5
    f = b[::-1, ::-1]
    f += b
    g = np.diag(b)
    h = b.ravel()
    h[0] = 9
    k = b.T.ravel()
    k[0] = -9
    np.copyto(b[0], b[1])
    a[a > 2] = a.max()
    return (a, b, c, d, e, f, g, h, k)


@prog(
    lambda i: (V(i, 4).astype([np.float32, np.float64, np.int32, np.int64, np.uint8, np.bool_][i % 6]),), n=13
)
def in_place_casts(x):

    def mk(op):

        def f(x):
            y = x.copy()
            op(y)
            return y

        return f

    def i1(y):
        y += 1

    def i2(y):
        y *= 1.5

    def i3(y):
        y /= 2

    def i4(y):
        y -= np.float64(1)

    def i5(y):
        y += np.ones(4)

    def i6(y):
        y //= 2

    def i7(y):
        y **= 2

    def i8(y):
        y &= 1

    def i9(y):
        y += np.ones((2, 4))

    def j1(y):
        np.add(y, 1.5, out=y)

    def j2(y):
        np.add(y, 1.5, out=y, casting="unsafe")

    def j3(y):
        np.exp(y, out=y)

    def j4(y):
        y[:2] = 1.9

    def j5(y):
        y[0] = np.nan

    def j6(y):
        np.copyto(y, 2.5)

    def j7(y):
        y += 300

    def j8(y):
        y[0] = 300

    def j9(y):
        y.sum(out=np.zeros((), y.dtype))
        y @= np.eye(4, dtype=y.dtype)

    return many([mk(f) for f in (i1, i2, i3, i4, i5, i6, i7, i8, i9, j1, j2, j3, j4, j5, j6, j7, j8, j9)], x)


@prog(lambda i: (np.random.RandomState(i), np.random.default_rng(i), V(i, 4), 5))
def random_streams(rs, g, x, n):
    a = [
        np.random.randn(2, 2),
        np.random.rand(),
        np.random.randint(0, 9, 3),
        np.random.randint(5),
        np.random.uniform(-1, 1, 2),
        np.random.normal(x, 1.0),
        np.random.choice(x),
        np.random.choice(4, 2, p=[0.1, 0.2, 0.3, 0.4]),
        np.random.choice(n, 3, replace=False),
        np.random.permutation(n),
        np.random.permutation(x),
        np.random.random((2,)),
        np.random.binomial(5, 0.3, 2),
        np.random.poisson(2.0, 2),
        np.random.exponential(1.0, 2),
        np.random.beta(1, 2),
        np.random.multinomial(5, [0.5, 0.5]),
        np.random.standard_normal(2),
        np.random.gamma(1.0, 2.0, 2),
        np.random.laplace(),
        np.random.dirichlet([1, 2]),
        np.random.multivariate_normal([0, 0], np.eye(2)),
        np.random.choice([1, 2, 3]),
        np.random.choice(["a", "b"]),
        np.random.bytes(2),
    ]
    y = x.copy()
    np.random.shuffle(y)
    l = [1, 2, 3]
    np.random.shuffle(l)
    z = np.arange(6).reshape(3, 2)
    np.random.shuffle(z)
    b = [
        rs.randn(2),
        rs.choice(x, 2),
        rs.permutation(3),
        g.normal(size=2),
        g.integers(0, 5, 2),
        g.random(2),
        g.choice(x, 2, replace=False),
        g.permutation(x),
        g.standard_normal((2,), dtype=np.float32),
        g.uniform(-1, 1),
        g.shuffle(y),
        g.permuted(z, axis=0),
        g.choice(z, 2, axis=0),
        g.multinomial(3, [0.2, 0.8]),
    ]
    r2 = np.random.RandomState(3)
    c = r2.rand(2)
    g2 = np.random.default_rng(7).normal()
    st = np.random.get_state()
    d = np.random.rand()
    np.random.set_state(st)
    e = np.random.rand()
    np.random.seed(int(z[0, 0]))
    f = np.random.rand()
    return (a, y, l, z, b, c, g2, d == e, f)


@prog(
    lambda i: (
        np.array([(1, 2.0), (3, 4.0)], dtype=[("a", int), ("b", float)]),
        np.array([1, "x", None, V(i)], dtype=object),
        V(i, 2, 2) + 1j,
        np.array(["2020-01-01", "2020-02-01"], dtype="M8[D]"),
        np.array(["ab", "c"]),
        np.matrix(V(i, 2, 2)),
        np.ma.array([1.0, 2, 3], mask=[0, 1, 0]),
        V(i, 2, 2),
    )
)
def odd_arrays(st, ob, cx, dt, sa, mx, ma, x):
    st["b"] *= 2
    st[0]["a"] = 9
    rec = st[st["a"] > 2]
    ob[0] = x
    ob[3] = ob[3] * 2
    return (
        st["a"].sum(),
        rec,
        st["b"] + x[0],
        len(ob),
        ob[3],
        cx * 2,
        cx.real,
        np.abs(cx),
        cx.conj().T @ cx,
        np.angle(cx),
        dt[1] - dt[0],
        dt + np.timedelta64(1, "D"),
        (dt[1] - dt[0]).astype(int) * x,
        np.char.upper(sa),
        sa == "c",
        mx * mx,
        mx.T,
        np.asarray(mx) + x,
        ma.sum(),
        ma + 1,
        ma.mean(),
        np.mean(ma),
        x @ mx,
        x * ma[:2] if False else 0,
        np.array([1, 2], dtype=object) + 1,
        np.exp(cx),
        np.sort(cx, axis=None),
        np.iscomplexobj(cx),
        cx > cx if False else 0,
        np.array(["1.5"]).astype(float) * x[0, 0],
        x.view(np.int64).shape,
        x.astype(np.float16).view(np.uint16).sum() > 0,
        x.tobytes() == x.copy().tobytes(),
        np.frombuffer(x.tobytes()),
        x.dtype.itemsize,
        np.dtype("f4").name,
        np.finfo(x.dtype).eps,
        np.iinfo(int).max,
        np.result_type(x, np.float32),
        np.can_cast(int, float),
        np.promote_types("f4", "i4"),
    )


@prog(lambda i: (V(i, *[(3,), (2, 3)][i % 2]), V(i + 1, 2, [1, 3][i % 2])))
def views_of_several(x, y):
    a, b = np.broadcast_arrays(x, y)
    c, d = np.atleast_2d(x, y)
    e, f = np.meshgrid(x[..., 0].reshape(-1), y[..., 0].reshape(-1), copy=False)
    y[0] = 5
    x[..., 1] = y[1, 0]
    return (a + b, c * d, e - f, b.sum(), f[0])
