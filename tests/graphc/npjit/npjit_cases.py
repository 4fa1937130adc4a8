"""Idioms of NumPy training code: what `test_idioms` and the gradient tests run."""

from collections import OrderedDict, namedtuple

import numpy as np
from npjit_harness import Args, case, grad, program

B = (8, 8, 5)  # batch size of calls 0, 1, 2


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def softmax(x):
    x = x - np.max(x, axis=1, keepdims=True)
    e = np.exp(x)
    return e / e.sum(axis=1, keepdims=True)


def mk_two_layer(i, r):
    n = B[i]
    return (
        r.normal(size=(n, 10)),
        r.normal(size=(n, 3)),
        r.normal(size=(10, 6)) * 0.1,
        r.normal(size=(6, 3)) * 0.1,
        1e-2,
    )


@case("nets", mk_two_layer)
def two_layer_step(x, y, w1, w2, lr):
    h = x.dot(w1)
    h_relu = np.maximum(h, 0)
    y_pred = h_relu.dot(w2)
    loss = np.square(y_pred - y).sum()
    grad_y = 2.0 * (y_pred - y)
    grad_w2 = h_relu.T.dot(grad_y)
    grad_h = grad_y.dot(w2.T)
    grad_h[h < 0] = 0
    grad_w1 = x.T.dot(grad_h)
    w1 -= lr * grad_w1
    w2 -= lr * grad_w2
    return loss


@case("nets", lambda i, r: (r.normal(size=(B[i], 4)), r.integers(0, 3, B[i])), tol="loop")
def train_softmax_net(X, y):
    np.random.seed(0)
    W1, b1 = np.random.randn(4, 5) / np.sqrt(4), np.zeros((1, 5))
    W2, b2 = np.random.randn(5, 3) / np.sqrt(5), np.zeros((1, 3))
    losses = []
    for it in range(30):
        a1 = np.tanh(X.dot(W1) + b1)
        scores = np.exp(a1.dot(W2) + b2)
        probs = scores / np.sum(scores, axis=1, keepdims=True)
        losses.append(-np.log(probs[range(len(X)), y]).sum() / len(X))
        d = probs
        d[range(len(X)), y] -= 1
        dW2, db2 = a1.T.dot(d), np.sum(d, axis=0, keepdims=True)
        d2 = d.dot(W2.T) * (1 - np.power(a1, 2))
        dW1, db1 = np.dot(X.T, d2), np.sum(d2, axis=0)
        W1 += -0.01 * dW1
        b1 += -0.01 * db1
        W2 += -0.01 * dW2
        b2 += -0.01 * db2
    return {"W1": W1, "b1": b1, "W2": W2, "b2": b2}, losses


@case("softmax", lambda i, r: (r.normal(size=(B[i], 5)) * 50, r.integers(0, 5, B[i])))
def softmax_loss_and_grad(scores, y):
    n = scores.shape[0]
    p = softmax(scores)
    loss = -np.mean(np.log(p[np.arange(n), y] + 1e-7))
    d = p.copy()
    d[np.arange(n), y] -= 1
    d /= n
    return loss, d


@case(
    "softmax",
    lambda i, r: (r.normal(size=(B[i], 4) if i else 4), r.integers(0, 4, B[i]) if i else np.array([2])),
)
def cross_entropy_1d_or_2d(y, t):
    if y.ndim == 1:
        t = t.reshape(1, t.size)
        y = y.reshape(1, y.size)
    y = np.exp(y - y.max(axis=1, keepdims=True))
    y /= y.sum(axis=1, keepdims=True)
    if t.size == y.size:
        t = t.argmax(axis=1)
    return -np.sum(np.log(y[np.arange(y.shape[0]), t.ravel()] + 1e-7)) / y.shape[0]


@case("softmax", lambda i, r: (r.integers(0, 6, B[i]), 6), tol="exact")
def one_hot_three_ways(y, n):
    a = np.eye(n)[y]
    b = np.zeros((y.size, n))
    b[np.arange(y.size), y] = 1
    c = (y[:, None] == np.arange(n)).astype(np.float32)
    return a, b, c


@case("indexing", lambda i, r: (r.normal(size=(6, 7)), r.integers(0, 6, B[i])), tol="exact")
def fancy_reads(a, idx):
    return (
        a[idx],
        a[:, idx % 7],
        a[idx, idx],
        a[2],
        a[-1, ::2],
        a[..., 0],
        a[1:3, None, :],
        a[a > 0],
        a[[0, 2], :][:, [1, 3]],
    )


@case("assign", lambda i, r: (r.normal(size=(B[i], 3)), r.normal(size=3)), tol="elem")
def rows_filled_in_a_loop(x, t):
    out = np.zeros_like(x)
    for i in range(x.shape[0]):
        out[i] = x[i] * t
        out[i, 0] = i
    out[:, -1] += 1
    return out


@case("assign", lambda i, r: (r.normal(size=(B[i], 4)),), tol="elem")
def relu_mask_assign(x):
    mask = x <= 0
    out = x.copy()
    out[mask] = 0
    x[~mask] *= 2
    return out, mask


@case("buffers", lambda i, r: (r.normal(size=(B[i], 5)),))
def running_sum_buffer(x):
    total = np.zeros(x.shape[1:])
    hist = np.empty((x.shape[0], x.shape[1]))
    for i, row in enumerate(x):
        total += row
        hist[i, :] = total
    return hist, total


@case("concat", lambda i, r: (r.normal(size=(B[i], 3)), r.normal(size=B[i])), tol="exact")
def bias_column(X, y):
    A = np.c_[np.ones(X.shape[0]), X]
    s = np.r_[y, 0.0, y[::-1]]
    v = np.vstack([X.T, y])
    h = np.hstack((X, y.reshape(-1, 1)))
    k = np.concatenate([X, X * 2], axis=0)
    st = np.stack([y, -y], axis=1)
    return A, s, v, h, k, st


@case("constructors", lambda i, r: (B[i], r.normal()), tol="exact")
def arrays_from_scalars(n, v):
    a = np.array([v, 2 * v, n])
    b = np.full((n, 2), v)
    c = np.arange(n, dtype=np.float32) / n
    d = np.linspace(0, 1, n)
    e = np.array([[v] * n for _ in range(2)])
    f = np.asarray(range(n))
    return a, b, c, d, e, f, np.eye(n), np.ones_like(a), np.tile(a, (2, 1)), np.repeat(a, 2)


@case(
    "products",
    lambda i, r: (r.normal(size=(B[i], 4)), r.normal(size=(4, 3)), r.normal(size=4), r.normal(size=B[i])),
)
def product_spellings(A, W, t, u):
    return (
        A.dot(W),
        np.dot(A, W),
        A @ W,
        A.dot(t),
        t @ W,
        np.outer(u, t),
        u.dot(u),
        np.matmul(A, W),
        np.inner(t, t),
        A.T @ A,
        np.einsum("ij,jk->ik", A, W),
        np.tensordot(A, W, axes=1),
        np.vdot(u, u),
    )


@case("products", lambda i, r: (r.normal(size=(B[i], 2, 5, 5)), r.normal(size=(3, 2, 5, 5))))
def conv_tensordot(x, w):
    out = np.tensordot(x, w, axes=([1, 2, 3], [1, 2, 3]))
    back = np.tensordot(out, w, axes=([1], [0]))
    e = np.einsum("ncij,kcij->nk", x, w)
    return out, back, e, np.einsum("ij,ij->i", out, out)


@case("elementwise", lambda i, r: (r.normal(size=(B[i], 6)),), tol="elem")
def activations(x):
    return (
        np.maximum(0, x),
        np.where(x > 0, x, 0.01 * x),
        np.tanh(x),
        1 / (1 + np.exp(-x)),
        np.log1p(np.exp(-np.abs(x))),
        x.clip(-1, 1),
        np.clip(x, 0, None),
        np.sign(x),
        x**2,
        np.sqrt(np.abs(x)),
        x * (x > 0),
        np.square(x),
        np.abs(x),
        -x,
        np.minimum(x, 6),
    )


@case(
    "views",
    lambda i, r: ({"W1": r.normal(size=(4, B[i])), "b1": np.zeros(B[i])}, r.normal(size=(4, B[i])), 0.1),
    tol="elem",
)
def view_of_param_updated(params, g, lr):
    w = params["W1"]
    w -= lr * g
    row = w[0]
    row[:] = 7
    flat = w.reshape(-1)
    flat[1] = -1
    wt = w.T
    wt[2] += 1
    params["b1"] = params["b1"] + 1
    return w.sum()


@program("objects", tol="loop")
def class_net_trained(jit):
    class Net:
        def __init__(self, r):
            self.params = {
                "W1": 0.1 * r.normal(size=(6, 5)),
                "b1": np.zeros(5),
                "W2": 0.1 * r.normal(size=(5, 3)),
                "b2": np.zeros(3),
            }
            self.seen = 0

        @jit
        def loss(self, x, t):
            self.seen += len(x)
            a = np.dot(x, self.params["W1"]) + self.params["b1"]
            self.z = sigmoid(a)
            y = softmax(np.dot(self.z, self.params["W2"]) + self.params["b2"])
            self.y = y
            return -np.sum(t * np.log(y + 1e-7)) / x.shape[0]

        @jit
        def step(self, x, t, lr):
            g = {}
            dy = (self.y - t) / x.shape[0]
            g["W2"], g["b2"] = np.dot(self.z.T, dy), np.sum(dy, axis=0)
            dz = np.dot(dy, self.params["W2"].T) * (1.0 - self.z) * self.z
            g["W1"], g["b1"] = np.dot(x.T, dz), np.sum(dz, axis=0)
            for k in ("W1", "b1", "W2", "b2"):
                self.params[k] -= lr * g[k]
            return g

    r = np.random.default_rng(0)
    net, losses = Net(r), []
    for i in range(6):
        n = 8 if i < 5 else 3
        x, t = r.normal(size=(n, 6)), np.eye(3)[r.integers(0, 3, n)]
        losses.append(net.loss(x, t))
        net.step(x, t, 0.5)
    return losses, net


@program("objects", tol="loop")
def layer_list_forward_backward(jit):
    class Affine:
        def __init__(self, W, b):
            self.W, self.b, self.x = W, b, None

        def forward(self, x):
            self.x = x
            return np.dot(x, self.W) + self.b

        def backward(self, d):
            self.dW = np.dot(self.x.T, d)
            self.db = np.sum(d, axis=0)
            return np.dot(d, self.W.T)

    class Relu:
        def forward(self, x):
            self.mask = x <= 0
            out = x.copy()
            out[self.mask] = 0
            return out

        def backward(self, d):
            d[self.mask] = 0
            return d

    def train(layers, x, t, lr):
        a = x
        for layer in layers:
            a = layer.forward(a)
        d = 2 * (a - t) / len(x)
        for layer in reversed(layers):
            d = layer.backward(d)
        for layer in layers:
            if hasattr(layer, "W"):
                layer.W -= lr * layer.dW
                layer.b -= lr * layer.db
        return ((a - t) ** 2).mean()

    step, r = jit(train), np.random.default_rng(1)
    layers = [
        Affine(r.normal(size=(4, 8)) * 0.3, np.zeros(8)),
        Relu(),
        Affine(r.normal(size=(8, 2)) * 0.3, np.zeros(2)),
    ]
    return [step(layers, r.normal(size=(n, 4)), r.normal(size=(n, 2)), 0.1) for n in (8, 8, 8, 3)], layers


def mk_params(i, r, dt=np.float64):
    shapes = {"W1": (4, 3), "b1": (3,), "W2": (3, 2)}
    return (
        {k: r.normal(size=s).astype(dt) for k, s in shapes.items()},
        {k: r.normal(size=s).astype(dt) for k, s in shapes.items()},
        {k: np.zeros(s, dt) for k, s in shapes.items()},
        {k: np.zeros(s, dt) for k, s in shapes.items()},
    )


@case("optim", mk_params)
def adam_on_dicts(params, grads, m, v):
    for t in range(1, 6):
        lr_t = 0.01 * np.sqrt(1.0 - 0.999**t) / (1.0 - 0.9**t)
        for k in params:
            m[k] += (1 - 0.9) * (grads[k] - m[k])
            v[k] += (1 - 0.999) * (grads[k] ** 2 - v[k])
            params[k] -= lr_t * m[k] / (np.sqrt(v[k]) + 1e-7)
    return params


@program("optim")
def momentum_object_lazy_state(jit):
    class Momentum:
        def __init__(self, lr=0.01, momentum=0.9):
            self.lr, self.momentum, self.v = lr, momentum, None

        def update(self, params, grads):
            if self.v is None:
                self.v = {}
                for key, val in params.items():
                    self.v[key] = np.zeros_like(val)
            for key in params.keys():
                self.v[key] = self.momentum * self.v[key] - self.lr * grads[key]
                params[key] += self.v[key]

    Momentum.update = jit(Momentum.update)
    opt = Momentum()
    params, grads, _, _ = mk_params(0, np.random.default_rng(3), np.float32)
    keep = params["W1"]
    for _ in range(3):
        opt.update(params, grads)
    return params, opt, keep is params["W1"]


@case("conv", lambda i, r: (r.normal(size=((2, 2, 1)[i], 3, 6, 6)), 3, 3, 1, 1))
def im2col_loops(x, fh, fw, stride, pad):
    N, C, H, W = x.shape
    oh, ow = (H + 2 * pad - fh) // stride + 1, (W + 2 * pad - fw) // stride + 1
    img = np.pad(x, [(0, 0), (0, 0), (pad, pad), (pad, pad)], "constant")
    col = np.zeros((N, C, fh, fw, oh, ow))
    for y in range(fh):
        y_max = y + stride * oh
        for xx in range(fw):
            x_max = xx + stride * ow
            col[:, :, y, xx, :, :] = img[:, :, y:y_max:stride, xx:x_max:stride]
    col = col.transpose(0, 4, 5, 1, 2, 3).reshape(N * oh * ow, -1)
    back = np.zeros((N, C, H + 2 * pad + stride - 1, W + 2 * pad + stride - 1))
    c6 = (col * 2).reshape(N, oh, ow, C, fh, fw).transpose(0, 3, 4, 5, 1, 2)
    for y in range(fh):
        for xx in range(fw):
            back[:, :, y : y + stride * oh : stride, xx : xx + stride * ow : stride] += c6[:, :, y, xx, :, :]
    return col, back[:, :, pad : H + pad, pad : W + pad]


@case("conv", lambda i, r: (r.normal(size=(1 + i, 2, 6, 6)),))
def maxpool_reshape(x):
    N, C, H, W = x.shape
    xr = x.reshape(N, C, H // 2, 2, W // 2, 2)
    out = xr.max(axis=3).max(axis=4)
    mask = xr == out[:, :, :, None, :, None]
    dx = np.zeros_like(xr)
    d = np.broadcast_to(out[:, :, :, None, :, None], dx.shape)
    dx[mask] = d[mask]
    dx /= np.sum(mask, axis=(3, 5), keepdims=True)
    return out, dx.reshape(x.shape)


@case("strided", lambda i, r: (r.normal(size=(6, B[i] + 2)),), tol="elem")
def strided_slices(x):
    a = x[::2, 1::3]
    a[...] = a * 10
    x[1::2][:, ::-1][0] = 5
    s = np.lib.stride_tricks.sliding_window_view(x, 3, axis=1)
    return (
        a,
        x[::-1],
        np.flip(x, 1),
        np.swapaxes(x, 0, 1),
        np.rollaxis(x, 1),
        np.roll(x, 1, axis=0),
        s.sum(axis=2),
    )


@case("scatter", lambda i, r: (r.normal(size=(6, 3)), r.integers(0, 6, B[i]), r.normal(size=(B[i], 3))))
def embedding_backward(W, idx, dout):
    dW = np.zeros_like(W)
    np.add.at(dW, idx, dout)
    W -= 0.1 * dW
    np.subtract.at(W, (idx, 0), 1.0)
    return dW, W[idx], np.bincount(idx, minlength=6)


@case("rng", lambda i, r: (B[i],), tol="exact")
def global_rng_calls(n):
    a = np.random.randn(n, 3) * np.sqrt(2.0 / n)
    p = np.random.permutation(n)
    c = np.random.choice(n, 3)
    u = np.random.rand(2, 2)
    np.random.shuffle(p)
    k = np.random.randint(0, 10, size=4)
    mask = np.random.rand(*a.shape) > 0.5
    return a, p, c, u, k, a * mask, np.random.uniform(-1, 1, (2,)), np.random.normal(0, 2, 3)


@case("rng", lambda i, r: (np.random.RandomState(i), np.random.default_rng(i), B[i]), tol="exact")
def rng_objects(rs, gen, n):
    x = rs.randn(n, 2)
    idx = rs.permutation(n)
    y = gen.normal(size=(n,))
    gen.shuffle(idx)
    return x[idx], y, gen.integers(0, 5, 3), rs.uniform(size=2)


@case("io", lambda i, r: (r.normal(size=(B[i], 2)),))
def prints_while_it_works(x):
    best = 1e9
    for epoch in range(3):
        loss = float(np.mean((x - epoch) ** 2))
        print("epoch", epoch, "loss:", loss)
        if loss < best:
            best = loss
            print(f"  best so far {best:.4f}")
    print(x.shape, x.dtype, np.mean(x))
    return best


@case("control", lambda i, r: (r.normal(size=5) + (3 if i == 1 else 0), 1e-3))
def while_not_converged(x, eps):
    n = 0
    while np.linalg.norm(x) > eps:
        x = x * 0.5
        n += 1
        if n >= 50:
            break
    else:
        n = -n
    if x.sum() > 0:
        return n, x
    elif n % 2:
        return n, -x
    return n, None


@case("batches", lambda i, r: (r.normal(size=(20 + i, 3)), r.normal(size=20 + i), np.zeros(3)), tol="loop")
def minibatch_sgd(X, y, w):
    n, bs, hist = len(X), 6, []
    for epoch in range(3):
        idx = np.random.permutation(n)
        X_, y_ = X[idx], y[idx]
        for s in range(0, n, bs):
            xb, yb = X_[s : s + bs], y_[s : s + bs]
            err = xb.dot(w) - yb
            w -= 0.05 * xb.T.dot(err) / len(xb)
            hist.append((len(xb), (err**2).mean()))
    return hist


@case(
    "rnn",
    lambda i, r: (
        [int(k) for k in r.integers(0, 5, 4 + (i == 2))],
        np.zeros((7, 1)),
        r.normal(size=(7, 5)) * 0.1,
        r.normal(size=(7, 7)) * 0.1,
        r.normal(size=(5, 7)) * 0.1,
        np.zeros((7, 1)),
        np.zeros((5, 1)),
    ),
)
def char_rnn_loss(inputs, hprev, Wxh, Whh, Why, bh, by):
    xs, hs, ys, ps = {}, {}, {}, {}
    hs[-1] = np.copy(hprev)
    loss = 0
    for t in range(len(inputs)):
        xs[t] = np.zeros((5, 1))
        xs[t][inputs[t]] = 1
        hs[t] = np.tanh(np.dot(Wxh, xs[t]) + np.dot(Whh, hs[t - 1]) + bh)
        ys[t] = np.dot(Why, hs[t]) + by
        ps[t] = np.exp(ys[t]) / np.sum(np.exp(ys[t]))
        loss += -np.log(ps[t][(inputs[t] + 1) % 5, 0])
    dWxh, dWhh, dWhy = np.zeros_like(Wxh), np.zeros_like(Whh), np.zeros_like(Why)
    dbh, dby, dhnext = np.zeros_like(bh), np.zeros_like(by), np.zeros_like(hs[0])
    for t in reversed(range(len(inputs))):
        dy = np.copy(ps[t])
        dy[(inputs[t] + 1) % 5] -= 1
        dWhy += np.dot(dy, hs[t].T)
        dby += dy
        dh = np.dot(Why.T, dy) + dhnext
        dhraw = (1 - hs[t] * hs[t]) * dh
        dbh += dhraw
        dWxh += np.dot(dhraw, xs[t].T)
        dWhh += np.dot(dhraw, hs[t - 1].T)
        dhnext = np.dot(Whh.T, dhraw)
    for dparam in [dWxh, dWhh, dWhy, dbh, dby]:
        np.clip(dparam, -5, 5, out=dparam)
    return loss, dWxh, dWhh, dWhy, dbh, dby, hs[len(inputs) - 1]


@case("metrics", lambda i, r: (r.normal(size=(B[i], 4)), r.integers(0, 4, B[i])))
def accuracy(scores, t):
    pred = np.argmax(scores, axis=1)
    acc = np.mean(pred == t)
    n_ok = sum(int(a == b) for a, b in zip(pred, t))
    conf = np.zeros((4, 4), dtype=int)
    for a, b in zip(t, pred):
        conf[a][b] += 1
    return acc, n_ok / float(len(t)), np.sum(pred == t), conf, (pred == t).all(), scores.argmin()


@case(
    "dtype",
    lambda i, r: (r.normal(size=(B[i], 3)).astype(np.float32), np.arange(B[i]), np.float64(2.5)),
    tol="reduce",
)
def promotion(x, k, s):
    return (
        x * 2.5,
        x * s,
        x / 2,
        k * 1.5,
        k / 2,
        k // 2,
        x + k[:, None],
        x.sum(),
        x.mean(),
        k.mean(),
        x.astype(np.float64).sum(),
        x**2,
        x**0.5 if False else x**2.0,
        np.float32(3) * s,
        x.sum() * s,
        np.sum(x, dtype=np.float64),
        np.sqrt(k),
        np.exp(x),
        x > 0,
        (x > 0) * 1.0,
        True + x,
        k + np.int8(1),
        np.sum(x > 0),
    )


@case("errors", lambda i, r: (r.normal(size=(4, 3)), r.normal(size=(4,)), {"n": np.zeros(2)}))
def broadcast_error_after_mutation(x, y, log):
    log["n"] += 1
    x *= 2
    x[0] = 9
    z = x + y
    log["n"] += 100
    return z


@case("errors", lambda i, r: (r.normal(size=(4, 3)), [5, IndexError, "k"][i]))
def caught_and_reraised(x, what):
    try:
        if isinstance(what, int):
            return x[what]
        if what == "k":
            return {}["k"]
        raise ValueError("user error")
    except IndexError as e:
        return "caught", str(e)[:5]
    finally:
        x[1] = -1


@case("fp", lambda i, r: (np.array([1.0, 0.0, -1.0, np.inf, np.nan]), np.zeros(5)), tol="elem")
def infs_and_nans(a, b):
    return (
        a / b,
        np.log(a),
        np.sqrt(a),
        np.exp(a * 1000),
        np.maximum(a, 0),
        np.fmax(a, 0),
        np.nanmax(a),
        np.max(a),
        a.argmax(),
        np.isnan(a / b).sum(),
        np.nan_to_num(a),
        a == a,
        np.where(a > 0, a, -a),
        np.clip(a, 0, 1),
        np.sign(a),
    )


@case(
    "intover", lambda i, r: (np.array([127, -128, 100], np.int8), np.array([250, 3], np.uint8)), tol="exact"
)
def integers_wrap(a, u):
    a += 1
    return (
        a,
        a * a,
        u + u,
        u - np.uint8(5),
        np.abs(np.array([-128], np.int8)),
        a // np.int8(3),
        a % np.int8(7),
        u.sum(),
        np.left_shift(u, 1),
        ~u,
    )


@case("empty", lambda i, r: (np.zeros((0, 3)), r.normal(size=(3, 2)), np.array(2.0 + i)))
def empty_and_zero_d(x, w, s):
    out = x @ w
    return (
        out,
        out.sum(),
        out.sum(axis=0),
        np.mean(x > 0) if len(x) else None,
        s * 2,
        s + np.ones(2),
        np.concatenate([x, np.ones((1, 3))]),
        s.shape,
        np.prod(x),
        np.array(3.0)[()],
    )


def mk_alias(i, r):
    x = r.normal(size=6)
    return (x, x) if i == 0 else (x, x[::-1]) if i == 1 else (x[1:], x[:-1])


@case("alias", mk_alias, tol="elem")
def two_names_one_array(a, b):
    a += 1
    b *= 2
    a[0] = 100
    return a + b, a.sum()


@case("alias", lambda i, r: (np.arange(8.0) + i,), tol="exact")
def overlapping_slices(x):
    x[1:] = x[:-1]
    x[:3] += x[2:5]
    x[::2], x[1::2] = x[1::2], x[::2].copy()
    y = x
    y = y + 1
    return x, y


Point = namedtuple("Point", "x y")


@case("returns", lambda i, r: (r.normal(size=(3, 3)), {"a": [r.normal(size=2)]}))
def nested_returns(x, d):
    od = OrderedDict()
    od["z"] = x[0]
    od["a"] = (x.T, [x.sum(), 3, "text", None, True])
    return (
        od,
        d,
        Point(x.mean(), x.max(axis=0)),
        {1: {2: x.shape}},
        x.sum(axis=0).tolist(),
        x[0, 0].item(),
        float(x[0, 1]),
    )


@case(
    "calls",
    lambda i, r: Args(
        r.normal(size=3),
        *([r.normal(size=3)] * i),
        scale=2.0 + i,
        **({"bias": r.normal(size=3)} if i else {}),
    ),
)
def kwargs_and_varargs(x, *more, scale=1.0, bias=None, **rest):
    out = x * scale
    for m in more:
        out = out + m
    if bias is not None:
        out += bias
    return out, len(more), sorted(rest)


SCALE = 1.0


@program("globals")
def module_global_changed(jit):
    def f(x):
        return x * SCALE

    def g(x, acc=[]):
        acc.append(len(x))
        return x + len(acc)

    count = 0

    def h(x):
        nonlocal count
        count += 1
        return x * count

    f, g, h, out = jit(f), jit(g), jit(h), []
    global SCALE
    for s in (1.0, 2.0, np.float64(3), 4):
        SCALE = s
        out += [f(np.ones(3)), g(np.ones(2)), h(np.ones(2))]
    SCALE = 1.0
    return out, count


def fact(x, n):
    return x if n <= 0 else x * fact(x + 1, n - 1)


@case("recursion", lambda i, r: (r.normal(size=4), 3 + i))
def recursive(x, n):
    return fact(x, n), fact(float(x[0]), 2)


@case("generators", lambda i, r: (r.normal(size=(7, 2)),))
def batches_generator(X):
    total = 0.0
    for s in range(0, len(X), 3):
        chunk = X[s : s + 3]
        total += chunk.sum()
        yield chunk * 2, total


@case(
    "out",
    lambda i, r: (r.normal(size=(3, B[i])), r.normal(size=(B[i], 2)), np.zeros((3, 2)), np.ones((3, B[i]))),
)
def out_arguments(a, b, c, buf):
    np.dot(a, b, out=c)
    np.multiply(a, 2, out=buf)
    np.add(buf, 1, buf)
    np.exp(buf, out=buf)
    np.maximum(a, 0, out=a)
    s = np.sum(buf, axis=1, out=np.empty(3))
    return s


@case("ufunc", lambda i, r: (r.normal(size=(B[i], 3)),))
def ufunc_methods(x):
    return (
        np.add.reduce(x),
        np.maximum.accumulate(x, axis=0),
        np.multiply.outer(x[:, 0], x[0]),
        np.add.reduce(x, axis=(0, 1)),
        np.cumsum(x, axis=1),
        np.maximum.reduce(x, axis=1, keepdims=True),
        np.diff(x, axis=0),
        np.cumprod(x[:, 0]),
    )


@case("reductions", lambda i, r: (r.normal(size=(B[i], 3, 4)), r.normal(size=(B[i], 3)).astype(np.float32)))
def reductions(x, f):
    return (
        x.mean(),
        x.mean(axis=(0, 2)),
        x.var(axis=0),
        np.std(x, axis=1, keepdims=True),
        np.sum(x, axis=-1),
        x.max(),
        x.min(axis=(1, 2), keepdims=True),
        np.linalg.norm(x),
        np.linalg.norm(f, axis=1),
        np.sum(f, dtype=np.float64),
        np.average(f, axis=0),
        np.median(x),
        np.any(x > 2),
        np.all(f < 9, axis=0),
        np.sqrt(np.sum(f**2, axis=1, keepdims=True)),
        f.std(ddof=1),
        np.prod(f, axis=0),
        np.ptp(x),
    )


@case("sort", lambda i, r: (r.integers(0, 9, B[i]), r.normal(size=(B[i], 3))), tol="exact")
def sorting(k, x):
    u, inv, cnt = np.unique(k, return_inverse=True, return_counts=True)
    return (
        np.sort(x, axis=0),
        np.argsort(k, kind="stable"),
        u,
        inv,
        cnt,
        np.argsort(-x[:, 0]),
        np.searchsorted(u, k),
        np.nonzero(k > 4),
        np.argwhere(x > 0),
        np.partition(k, 2)[:2].sum(),
        x[x[:, 0].argsort()],
        np.isin(k, [1, 2]),
    )


@case("copies", lambda i, r: ({"w": r.normal(size=3), "l": [np.ones(2)]},))
def copy_semantics(p):
    import copy

    a, b, c = dict(p), copy.deepcopy(p), p["w"].copy()
    p["w"] += 1
    p["l"][0][0] = 9
    p["l"].append(p["w"])
    return a, b, c


@case("pad", lambda i, r: (r.normal(size=(2, 4 + i)), 1), tol="exact")
def zero_pad(x, p):
    out = np.zeros((x.shape[0] + 2 * p, x.shape[1] + 2 * p))
    out[p:-p, p:-p] = x
    return (
        out,
        np.pad(x, p, mode="constant"),
        np.pad(x, [(0, 0), (p, 2 * p)], "constant"),
        np.pad(x, ((p, p), (0, 0)), mode="edge"),
    )


@program("closures")
def optimiser_from_a_closure(jit):
    def make_momentum(lr, mu):
        v = {}

        def update(params, grads):
            for k in params:
                if k not in v:
                    v[k] = np.zeros_like(params[k])
                v[k] = mu * v[k] - lr * grads[k]
                params[k] += v[k]
            return len(v)

        return update, v

    update, v = make_momentum(0.1, 0.9)
    update = jit(update)
    params = {"w": np.ones((2, 2)), "b": np.zeros(2)}
    n = [update(params, {k: p * 0.5 + 1 for k, p in params.items()}) for _ in range(3)]
    return n, params, v


class Diverged(RuntimeError):
    pass


@case("exceptions", lambda i, r: (np.array([1.0, 2.0]), [0.1, 1.5, 30.0][i], []))
def stops_when_the_loss_explodes(w, lr, log):
    for it in range(20):
        loss = np.sum(w**2)
        log.append(loss)
        if not np.isfinite(loss) or loss > 1e6:
            raise Diverged("loss %g at %d" % (loss, it))
        w -= lr * 2 * w
    return it, loss


@program("callable")
def layers_called_like_functions(jit):
    class Dense:
        def __init__(self, n, m, r, act=None):
            self.W, self.b, self.act = r.normal(size=(n, m)), np.zeros(m), act or (lambda x: x)

        def __call__(self, x):
            self.x = x
            self.z = x @ self.W + self.b
            return self.act(self.z)

    class Model:
        def __init__(self, *layers):
            self.layers = list(layers)

        @jit
        def __call__(self, x):
            for layer in self.layers:
                x = layer(x)
            return x

    r = np.random.default_rng(5)
    m = Model(Dense(3, 4, r, np.tanh), Dense(4, 2, r, lambda z: np.maximum(z, 0)), Dense(2, 1, r))
    out = [m(r.normal(size=(n, 3))) for n in (4, 4, 1)]
    m.layers.pop()
    return out, m(np.ones((2, 3))), m.layers[1].z


@case("linalg", lambda i, r: (r.normal(size=(B[i] + 2, 3)), r.normal(size=B[i] + 2)), tol="loop")
def normal_equation_and_pca(X, y):
    Xb = np.c_[np.ones((len(X), 1)), X]
    theta = np.linalg.inv(Xb.T.dot(Xb) + 0.1 * np.eye(4)).dot(Xb.T).dot(y)
    w = np.linalg.solve(Xb.T @ Xb + np.eye(4), Xb.T @ y)
    vals = np.linalg.eigvalsh(np.cov(X.T))
    u, s, vt = np.linalg.svd(X - X.mean(0), full_matrices=False)
    return theta, w, vals, s, np.linalg.det(X.T @ X), np.linalg.norm(theta)


@case("rl", lambda i, r: (r.normal(size=(4, 6)) * 0.1, r.normal(size=4) * 0.1, r.normal(size=(5 + i, 6))))
def policy_forward_backward(W1, W2, frames):
    hs, dlogps, probs = [], [], []
    for x in frames:
        h = np.dot(W1, x)
        h[h < 0] = 0
        p = 1.0 / (1.0 + np.exp(-np.dot(W2, h)))
        y = 1 if np.random.uniform() < p else 0
        hs.append(h)
        dlogps.append(y - p)
        probs.append(p)
    eph, epdlogp = np.vstack(hs), np.vstack(dlogps)
    dW2 = np.dot(eph.T, epdlogp).ravel()
    dh = np.outer(epdlogp, W2)
    dh[eph <= 0] = 0
    return np.dot(dh.T, frames), dW2, np.array(probs)


@grad("grad-basic", lambda i, r: (r.normal(size=(3, 4)), r.normal(size=4)), argnums=(0, 1))
def g_elementwise(x, y):
    return np.sum(np.tanh(x * y) + np.exp(-(x**2)) / (1 + y**2) - np.log1p(x**2) + np.sin(x) * np.cos(y))


@grad(
    "grad-basic",
    lambda i, r: (r.normal(size=(4, 1)), r.normal(size=(3,)), 0.5),
    argnums=(0, 1, 2),
    value=True,
)
def g_broadcast_and_python_float(a, b, c):
    z = a * b + c
    return np.mean(z**2) + c * z.max() + np.sum(a - b.mean())


@grad("grad-where", lambda i, r: (np.array([-1.0, 0.25, 4.0, -0.0 - 2]) + 0.1 * i,))
def g_where_sqrt(x):
    return np.sum(np.where(x > 0, np.sqrt(x), 0) * np.array([1.0, 2, 3, 4]))


@grad("grad-assign", lambda i, r: (r.normal(size=(4, 3)), r.normal(size=3)), argnums=(0, 1))
def g_slice_assign(x, v):
    out = np.zeros((5, 3))
    out[1:] = x**2
    out[0] = v
    out[2] *= v
    out[:, 1] += out[:, 0]
    out[x.shape[0], 2] = 0.0
    return np.sum(out * np.arange(15.0).reshape(5, 3))


@grad("grad-index", lambda i, r: (r.normal(size=(6, 3)), np.array([1, 1, 4, 0])))
def g_gather_repeated(E, idx):
    rows = E[idx]
    picked = E[np.arange(4), idx % 3]
    return np.sum(rows**2) + np.prod(picked) + np.sum(E[E > 0] ** 6)


@grad("grad-loop", lambda i, r: (r.normal(size=3), 5 + i))
def g_python_loop(w, n):
    x, total = np.ones(3), 0.0
    for k in range(n):
        x = np.tanh(w * x + 0.1 * k)
        if x[0] > 0.5:
            total += x.sum()
        else:
            total = total - x[1] * k
    while x.max() > 0.05:
        x = x * 0.5
        total += np.sum(x * w)
    return total


def subgradient_of_max(g, args):
    x = args[0]
    at = x == x.max()
    if g.shape != x.shape or np.any(g[~at] != 0) or np.any(g < 0) or abs(g.sum() - 1) > 1e-12:
        return f"not a subgradient of max: {g}"


@grad("grad-ties", lambda i, r: (np.array([1.0, 3, 3, 2, 3]),), accept=subgradient_of_max)
def g_max_ties(x):
    return np.max(x)


@grad("grad-reduce", lambda i, r: (r.normal(size=(3, 4, 2)),), value=True)
def g_reductions(x):
    m, s = x.mean(axis=0, keepdims=True), x.std(axis=(0, 2), keepdims=True)
    z = (x - m) / (s + 1e-5)
    return (
        z.var()
        + np.linalg.norm(x)
        + np.sum(z[0] * x.sum(axis=0))
        + np.sum(x.max(axis=1))
        + np.sum(np.cumsum(x, axis=1) * x)
    )


@grad(
    "grad-matmul",
    lambda i, r: (r.normal(size=4), r.normal(size=(4, 3)), r.normal(size=(2, 3, 4))),
    argnums=(0, 1, 2),
)
def g_matmul_ranks(v, M, T):
    return (
        (v @ M).sum() * 2
        + np.sum(M.T @ v * np.arange(3))
        + v @ v
        + np.sum(T @ M)
        + np.sum((M @ T) ** 2)
        + np.sum(np.dot(T, v))
        + np.sum(np.outer(v, v) @ M)
    )


@grad(
    "grad-einsum",
    lambda i, r: (r.normal(size=(2, 3)), r.normal(size=(3, 4)), r.normal(size=(2, 4))),
    argnums=(0, 1),
)
def g_einsum(a, b, c):
    return (
        np.einsum("ij,jk,ik->", a, b, c)
        + np.sum(np.einsum("ij,jk->ik", a, b) ** 2)
        + np.tensordot(a, b, axes=([1], [0])).sum()
    )


@grad(
    "grad-conv",
    lambda i, r: (r.normal(size=(2, 2, 5, 5)), r.normal(size=(3, 2, 3, 3)), r.normal(size=3)),
    argnums=(0, 1, 2),
    calls=2,
)
def g_conv_im2col(x, w, b):
    N, C, H, W = x.shape
    oh = H - 2
    cols = np.stack([x[:, :, i : i + oh, j : j + oh] for i in range(3) for j in range(3)], axis=2)
    cols = cols.reshape(N, C * 9, oh * oh).transpose(0, 2, 1).reshape(-1, C * 9)
    out = cols @ w.reshape(3, -1).T + b
    out = np.maximum(out, 0).reshape(N, oh, oh, 3)
    return np.sum(out**2) / N


@grad(
    "grad-softmax",
    lambda i, r: (
        {"W": r.normal(size=(4, 3)), "b": np.zeros(3)},
        r.normal(size=(B[i], 4)),
        r.integers(0, 3, B[i]),
    ),
    value=True,
)
def g_softmax_ce(p, X, y):
    s = np.dot(X, p["W"]) + p["b"]
    s = s - np.max(s, axis=1, keepdims=True)
    logp = s - np.log(np.sum(np.exp(s), axis=1, keepdims=True))
    return -np.mean(logp[np.arange(len(y)), y]) + 0.5 * 1e-2 * np.sum(p["W"] ** 2)


@grad(
    "grad-containers",
    lambda i, r: (
        [(r.normal(size=(3, 4)), r.normal(size=4)), (r.normal(size=(4, 1)), r.normal(size=1))],
        r.normal(size=(B[i], 3)),
        r.normal(size=(B[i], 1)),
    ),
)
def g_list_of_tuples(params, X, Y):
    h = X
    for W, b in params:
        out = np.dot(h, W) + b
        h = np.tanh(out)
    reg = sum(np.sum(W**2) for W, _ in params)
    return np.mean((out - Y) ** 2) + 0.01 * reg


@grad(
    "grad-rnn",
    lambda i, r: (
        {
            "Wx": r.normal(size=(3, 16)) * 0.3,
            "Wh": r.normal(size=(4, 16)) * 0.3,
            "b": np.zeros(16),
            "out": [r.normal(size=(4, 2))],
        },
        r.normal(size=(5, 2, 3)),
    ),
    calls=2,
)
def g_lstm(p, xs):
    h, c, H, losses = np.zeros((2, 4)), np.zeros((2, 4)), 4, []
    for x in xs:
        z = np.dot(x, p["Wx"]) + np.dot(h, p["Wh"]) + p["b"]
        i, f, o = sigmoid(z[:, :H]), sigmoid(z[:, H : 2 * H] + 1), sigmoid(z[:, 2 * H : 3 * H])
        g = np.tanh(z[:, 3 * H :])
        c = f * c + i * g
        h = o * np.tanh(c)
        losses.append(np.mean((h @ p["out"][0]) ** 2))
    return sum(losses) / len(losses)


@grad(
    "grad-dtype",
    lambda i, r: ({"W": r.normal(size=(3, 2)).astype(np.float32)}, r.normal(size=(4, 3)).astype(np.float32)),
    value=True,
)
def g_float32_stays(p, x):
    return np.mean(np.maximum(x @ p["W"], 0.1) ** 2) * 0.5


@grad("grad-shape", lambda i, r: (r.normal(size=(2, 6)),))
def g_shapes(x):
    a = x.reshape(3, 4).T
    b = np.concatenate([a, a[::-1] ** 2], axis=1)
    c = np.vstack([b, b[:1]])
    d = np.pad(c, 1, mode="constant")
    e = np.stack([d, d * 2])[:, ::2, None, 1:-1].squeeze().ravel()
    f = np.c_[e, e**2]
    return (
        np.sum(f * np.arange(f.size).reshape(f.shape))
        + np.sum(np.split(f, 2, axis=1)[1])
        + np.sum(np.tile(x[0], 2) * np.repeat(x[1], 2))
    )


@grad("grad-basic", lambda i, r: (r.normal(size=4), {"lr": 0.02, "n": 3}))
def g_dict_of_settings(w, cfg):
    for _ in range(cfg["n"]):
        w = w - cfg["lr"] * (4 * w**3 - 2 * w)
    return np.sum(np.tanh(w)) + np.sqrt(np.mean(w**2))


@grad("grad-where", lambda i, r: (np.array([0.5, -1.0, 2.0]) + 0.1 * i,), value=True)
def g_safe_division(x):
    with np.errstate(all="ignore"):
        return np.sum(np.where(x < 0, 0.0, 1 / np.maximum(x, 0))) + np.sum(
            np.where(np.abs(x) < 10, x**2, np.exp(x**4))
        )


@grad("grad-assign", lambda i, r: (r.normal(size=(5, 2)), r.normal(size=2)), argnums=(0, 1))
def g_hidden_states_in_a_buffer(X, w):
    H = np.zeros((len(X) + 1, 2))
    for t in range(len(X)):
        H[t + 1] = np.tanh(H[t] * w + X[t])
    return np.sum(H[1:] ** 2) + H[-1, 0]


@grad(
    "grad-vae", lambda i, r: ({"mu": r.normal(size=3), "logs": r.normal(size=3) * 0.1}, r.normal(size=(4, 3)))
)
def g_reparameterised(p, eps):
    z = p["mu"] + np.exp(p["logs"]) * eps
    kl = -0.5 * np.sum(1 + 2 * p["logs"] - p["mu"] ** 2 - np.exp(2 * p["logs"]))
    return np.mean(np.sum((z - 1) ** 2, axis=1)) + kl
