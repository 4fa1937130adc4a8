"""Rules of eigenvalues, singular values and QR.

Where two eigenvalues or singular values are equal, their vectors have no derivative; the values' own
gradient is right. Formulas: Giles 2008, section 3.1; J. Townsend, "Differentiating the singular value
decomposition", 2016; M. Seeger et al., "Auto-differentiating linear algebra", 2017 (QR).
"""

from __future__ import annotations

from typing import Any

from graphc.ir.errors import ArgumentError
from graphc.npjit.vjps.calls import np
from graphc.npjit.vjps.composites import through
from graphc.npjit.vjps.linalg import turn
from graphc.npjit.vjps.table import define


def _columns(x: Any) -> Any:
    return np.expand_dims(x, -2)


def _rows(x: Any) -> Any:
    return np.expand_dims(x, -1)


def _inverse_gaps(values: Any) -> Any:
    """1 / (v_j - v_i), and 0 where they are equal."""
    gaps = _columns(values) - _rows(values)
    same = gaps == 0
    return np.where(same, 0, 1 / np.where(same, 1, gaps))


def _symmetric(g: Any) -> Any:
    return 0.5 * (g + turn(g))


def _eigh(cts: Any, outs: Any, a: Any, UPLO: str = "L") -> Any:
    ct_values, ct_vectors = cts[0], cts[1]
    values, v = outs[0], outs[1]
    inner = None if ct_vectors is None else _inverse_gaps(values) * (turn(v) @ ct_vectors)
    g = None if inner is None else v @ inner @ turn(v)
    if ct_values is not None:
        direct = (v * _columns(ct_values)) @ turn(v)
        g = direct if g is None else g + direct
    return _symmetric(g)


define("linalg.eigh", _eigh)


def _eigvalsh(ct: Any, out: Any, a: Any, UPLO: str = "L") -> Any:
    v = np.linalg.eigh(a, UPLO)[1]
    return _symmetric((v * _columns(ct)) @ turn(v))


define("linalg.eigvalsh", _eigvalsh)


def _singular_values(ct: Any, a: Any) -> Any:
    u, _, vt = np.linalg.svd(a, full_matrices=False)
    return (u * _columns(ct)) @ vt


def _svd(
    cts: Any, outs: Any, a: Any, full_matrices: bool = True, compute_uv: bool = True, hermitian: bool = False
) -> Any:
    if not compute_uv:
        return _singular_values(cts, a)
    ct_u, ct_s, ct_vt = cts[0], cts[1], cts[2]
    rows, columns = np.shape(a)[-2:]
    small = min(int(rows), int(columns))
    if full_matrices and rows != columns:
        _only_reduced(ct_u if rows > columns else ct_vt)
        outs = np.linalg.svd(a, full_matrices=False)
    u, s, vt = outs
    return _svd_core(
        ct_u if ct_u is None else ct_u[..., :, :small],
        ct_s,
        ct_vt if ct_vt is None else ct_vt[..., :small, :],
        u,
        s,
        vt,
    )


def _only_reduced(ct: Any) -> None:
    if ct is not None:
        raise ArgumentError(
            "the extra vectors of np.linalg.svd have no gradient.\n  fix     pass full_matrices=False."
        )


def _svd_core(ct_u: Any, ct_s: Any, ct_vt: Any, u: Any, s: Any, vt: Any) -> Any:
    """Townsend 2016, equation 31, for real matrices."""
    v = turn(vt)
    f = _inverse_gaps(s * s)
    parts = []
    if ct_s is not None:
        parts.append((u * _columns(ct_s)) @ vt)
    if ct_u is not None:
        inner = f * (turn(u) @ ct_u)
        inner = (inner + turn(inner)) * _columns(s)
        parts.append(u @ inner @ vt)
        outside = ct_u - u @ (turn(u) @ ct_u)
        parts.append((outside / _columns(s)) @ vt)
    if ct_vt is not None:
        ct_v = turn(ct_vt)
        inner = f * (vt @ ct_v)
        inner = _rows(s) * (inner + turn(inner))
        parts.append(u @ inner @ vt)
        outside = turn(ct_v - v @ (vt @ ct_v))
        parts.append(u @ (outside / _rows(s)))
    g = parts[0]
    for part in parts[1:]:
        g = g + part
    return g


define("linalg.svd", _svd)
define("linalg.svdvals", lambda ct, out, x: _singular_values(ct, x))


def _wide_qr(a: Any, rows: int) -> tuple[Any, Any]:
    """q and r of a matrix with fewer rows than columns: q is that of its first columns."""
    q, r = np.linalg.qr(a[..., :rows])
    return q, np.concatenate([r, turn(q) @ a[..., rows:]], axis=-1)


def _qr(cts: Any, outs: Any, a: Any, mode: str = "reduced") -> Any:
    """Seeger et al. 2017, section 4.3; with fewer rows than columns by the first columns."""
    rows, columns = (int(n) for n in np.shape(a)[-2:])
    if mode not in ("reduced", "complete", "r"):
        raise LookupError("qr")
    if mode == "r":
        cts, outs = [None, cts], np.linalg.qr(a)
    if rows < columns:
        return through(lambda a: _wide_qr(a, rows), cts, (a,), {})[0]
    if mode == "complete" and rows > columns:
        if cts[0] is not None:
            raise ArgumentError(
                "the extra columns of q of np.linalg.qr have no gradient.\n  fix     pass mode='reduced'."
            )
        cts, outs = [None, cts[1][..., :columns, :]], np.linalg.qr(a)
    return _tall_qr(cts, outs, a)


def _tall_qr(cts: Any, outs: Any, a: Any) -> Any:
    q, r = outs[0], outs[1]
    m = -(turn(cts[0]) @ q) if cts[0] is not None else None
    if cts[1] is not None:
        m = r @ turn(cts[1]) if m is None else m + r @ turn(cts[1])
    lower = np.tril(m) + turn(np.tril(m, -1))
    g = q @ lower if cts[0] is None else cts[0] + q @ lower
    return turn(np.linalg.solve(r, turn(g)))


define("linalg.qr", _qr)
