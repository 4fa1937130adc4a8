"""Idioms of NumPy training code: networks, losses, optimizers, trained by hand."""

import numpy as np
from npjit_harness import B, case, program


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


@case("scatter", lambda i, r: (r.normal(size=(6, 3)), r.integers(0, 6, B[i]), r.normal(size=(B[i], 3))))
def embedding_backward(W, idx, dout):
    dW = np.zeros_like(W)
    np.add.at(dW, idx, dout)
    W -= 0.1 * dW
    np.subtract.at(W, (idx, 0), 1.0)
    return dW, W[idx], np.bincount(idx, minlength=6)


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
