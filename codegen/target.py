"""The CPU that code is made for: its LLVM name and features, and the vector registers that kernels may use.

Everything in codegen takes a `Target` as an argument; `host()` is the only place that looks at the machine
and at `GRAPHC_CPU`. LLVM tells what the CPU is; the answer is kept in the cache folder beside what the system
says of the CPU, since LLVM takes longer to load than a warm start. llvmlite is imported on first use.
"""

from __future__ import annotations

import contextlib
import functools
import json
import os
import threading
from dataclasses import astuple, dataclass
from typing import Any

from graphc.codegen import cache
from graphc.codegen.errors import TargetError
from graphc.codegen.forks import held_by_forks

# Emission is not re-entrant (one LLVMContext, one machine per target): whoever parses, optimises or emits
# holds this lock.
LLVM_LOCK = held_by_forks(threading.RLock())

_AVX512 = ("avx512f", "avx512vl", "avx512bw", "avx512dq")
_AVX2 = ("avx2", "fma")


@dataclass(frozen=True)
class Target:
    """One CPU as LLVM names it, with the width and the number of the vector registers that kernels use.

    `register_bytes` is 64 (AVX-512), 32 (AVX2 with FMA) or 16 (everything else); `fused` says that the CPU
    multiplies and adds in one rounding.

    >>> Target("haswell", "", "x86_64-unknown-linux-gnu", 32, 16, True).lanes("f32")
    8
    """

    cpu: str
    features: str
    triple: str
    register_bytes: int
    registers: int
    fused: bool

    def lanes(self, dtype: str) -> int:
        """Elements of `dtype` (f32, i64, bool, ...) in one vector register."""
        bits = 8 if dtype == "bool" else int(dtype[1:])
        return self.register_bytes * 8 // bits

    def masks(self, size: int) -> bool:
        """Whether masked loads and stores of elements of `size` bytes are single instructions; else prefer
        scalar tails.
        """
        return self.register_bytes == 64 or (self.register_bytes == 32 and size >= 4)

    def key(self) -> tuple[str, ...]:
        """What distinguishes objects made for this target from those of another, for the key of the object
        cache.
        """
        return (self.cpu, self.features, self.triple, str(self.register_bytes), str(self.registers))

    def machine(self, jit: bool = False) -> Any:
        """A new LLVM target machine. "small" and "pic" make constants RIP-relative operands, where a JIT's
        default needs a movabs each. Level 1 of the code generator: text comes in its final form, and the
        higher ones take a third longer for code that is as fast.
        """
        import llvmlite.binding as llvm

        start_llvm()
        return llvm.Target.from_triple(self.triple).create_target_machine(
            cpu=self.cpu, features=self.features, opt=1, reloc="pic", codemodel="small", jit=jit
        )


@functools.cache
def start_llvm() -> None:
    """Initialise LLVM's native code generator, and make the C library's functions visible to it; once per
    process.
    """
    import llvmlite.binding as llvm

    llvm.initialize_native_target()
    llvm.initialize_native_asmprinter()
    with contextlib.suppress(
        RuntimeError
    ):  # elsewhere than on glibc these functions are part of the C library itself
        llvm.load_library_permanently("libm.so.6")


def host() -> Target:
    """The target of this process: the CPU it runs on, or what the environment variable `GRAPHC_CPU` asks for.

    `native` (or unset) uses all that the CPU has, `baseline` what every CPU of the architecture has, any
    other value is LLVM's name of a CPU (`haswell`, `skylake-avx512`, `znver3`).

    Raises
    ------
    TargetError
        LLVM does not know the CPU that `GRAPHC_CPU` names.

    >>> host() is host()
    True
    """
    return _target(os.environ.get("GRAPHC_CPU") or "native")


@functools.cache
def _target(setting: str) -> Target:
    known, processor = cache.Cache(cache.default_folder(), cache.Counters()), _processor()
    key = cache.key("target", setting, processor)
    stored = known.get(key) if processor else None
    if stored is not None:
        return Target(*json.loads(stored.sections["target"]))
    found = _by_llvm(setting)
    if processor:
        known.put(key, cache.Entry({"target": json.dumps(astuple(found)).encode()}))
    return found


_TELLING = ("vendor_id", "cpu family", "model", "stepping", "microcode", "flags", "Features", "CPU ")
"""How lines of /proc/cpuinfo begin that tell processors apart."""


def _processor() -> str:
    """What the system says of the processors; empty if it says nothing."""
    try:
        with open("/proc/cpuinfo") as file:
            text = file.read(1 << 14)  # some processors: the whole file is long where there are many
    except OSError:
        return ""
    lines = [line for line in text.splitlines(keepends=True) if line.startswith(_TELLING)]
    tells = any(line.startswith(("flags", "Features")) for line in lines)
    return "".join(dict.fromkeys(line for line in lines if line.endswith("\n"))) if tells else ""


def _by_llvm(setting: str) -> Target:
    with LLVM_LOCK:
        start_llvm()
        if setting == "native":
            return _native()
        if setting == "baseline":
            return _baseline()
        return named(setting)


def _native() -> Target:
    import llvmlite.binding as llvm

    triple = llvm.get_process_triple()
    features = llvm.get_host_cpu_features()
    wide = all(features.get(name) for name in _AVX512)
    middle = all(features.get(name) for name in _AVX2)
    cpu, flat = llvm.get_host_cpu_name(), features.flatten()
    if wide:
        return Target(cpu, flat, triple, 64, 32, True)
    return Target(
        cpu, flat, triple, 32 if middle else 16, _narrow_registers(triple), middle or _is_arm(triple)
    )


def _baseline() -> Target:
    import llvmlite.binding as llvm

    triple = llvm.get_process_triple()
    cpu = "x86-64" if triple.startswith("x86_64") else "generic"
    return Target(cpu, "", triple, 16, _narrow_registers(triple), _is_arm(triple))


def _is_arm(triple: str) -> bool:
    return triple.startswith(("aarch64", "arm64"))


def _narrow_registers(triple: str) -> int:
    return 32 if _is_arm(triple) else 16


_PROBE = """
define <16 x float> @probe(<16 x float> %x, <16 x float> %y)
"min-legal-vector-width"="512" "prefer-vector-width"="512" {
  %z = call <16 x float> @llvm.fma.v16f32(<16 x float> %x, <16 x float> %y, <16 x float> %y)
  ret <16 x float> %z
}
"""


def named(cpu: str) -> Target:
    """The target for LLVM's CPU name on this machine's architecture, found by looking at what LLVM makes of
    a wide multiply-add.

    Raises
    ------
    TargetError
        LLVM does not know the name.
    """
    import llvmlite.binding as llvm

    with LLVM_LOCK:
        start_llvm()
        triple = llvm.get_process_triple()
        if not _known(cpu, triple):
            raise TargetError(
                f"GRAPHC_CPU={cpu!r} is not a CPU that LLVM knows for {triple}.\n"
                "  fix     use native, baseline, or a name such as haswell, znver3 or skylake-avx512."
            )
        plain = Target(cpu, "", triple, 16, _narrow_registers(triple), _is_arm(triple))
        text = plain.machine().emit_assembly(llvm.parse_assembly(_PROBE))
    if "vfmadd" not in text:
        return plain
    return Target(cpu, "", triple, 64, 32, True) if "zmm" in text else Target(cpu, "", triple, 32, 16, True)


# LLVM prints a warning for an unknown name and goes on; the names that it knows are listed by no function
# of llvmlite.
_X86_NAMES = """
alderlake amdfam10 arrowlake arrowlake-s athlon64 atom barcelona bdver1 bdver2 bdver3 bdver4
broadwell btver1 btver2 cannonlake cascadelake clearwaterforest cooperlake core-avx-i core-avx2
core2 corei7 corei7-avx diamondrapids emeraldrapids goldmont goldmont-plus gracemont graniterapids
graniterapids-d grandridge haswell icelake-client icelake-server ivybridge k8 k8-sse3 knl knm
lunarlake meteorlake nehalem nocona opteron opteron-sse3 pantherlake penryn raptorlake rocketlake
sandybridge sapphirerapids sierraforest silvermont skx skylake skylake-avx512 slm tigerlake tremont
westmere x86-64 x86-64-v2 x86-64-v3 x86-64-v4 znver1 znver2 znver3 znver4 znver5
"""


def _known(cpu: str, triple: str) -> bool:
    return not triple.startswith("x86_64") or cpu in _X86_NAMES.split()
