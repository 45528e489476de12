"""Explicit vector registers for Numba kernels: 8 or 16 float32 (or int32) lanes that behave like numbers.

Numba's auto-vectoriser gives up on the blending loops (index wrap-around and alias checks, early exits), which costs a
factor of seven. Here a kernel says what it means: `dx = xs - mx` is one vector subtraction. LLVM lowers a 16-lane value
to one AVX-512, two AVX2 or four SSE/NEON registers by itself, so the same kernel runs everywhere.

Plain numbers are broadcast wherever a vector meets them. Comparisons give masks, which `select` and `bits` take.
NaN compares false: floating-point flags allow contraction and re-association but promise nothing about NaN, so that
a NaN in the input stays a NaN and never becomes a wild integer.
"""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any

from llvmlite import ir
from numba import njit
from numba.core import types
from numba.core.extending import intrinsic as numba_intrinsic
from numba.core.extending import models, register_model
from numba.core.imputils import lower_builtin
from numba.core.typing.templates import AbstractTemplate, infer_global, signature

intrinsic: Any = numba_intrinsic  # its stubs describe what is written, not what a kernel may call

_FLAGS = ("afn", "arcp", "contract", "nsz", "reassoc")
_OPTIONS: dict[str, Any] = {
    "cache": True,
    "nogil": True,
    "fastmath": set(_FLAGS),
    "error_model": "numpy",
    "boundscheck": False,
}
_F32, _I32, _I64 = ir.FloatType(), ir.IntType(32), ir.IntType(64)
_ELEMENT = {"float": _F32, "int": _I32, "mask": ir.IntType(1)}


def kernel(function: Callable) -> Any:
    """Compiles a function to machine code that runs without the GIL and is kept on disk (NUMBA_CACHE_DIR).

    Numba compiles anew when the kernel's own file has changed; after a change to something that it inlines from another
    file, such as this one, clear that folder.
    """
    return njit(**_OPTIONS)(function)


def inlined(function: Callable) -> Any:
    """A kernel that becomes part of the kernels that call it."""
    return njit(inline="always", **_OPTIONS)(function)


class Vector(types.Type):
    """Numba type of a register with `lanes` elements of `kind` ("float", "int" or "mask")."""

    def __init__(self, kind: str, lanes: int) -> None:
        super().__init__(name=f"{kind}x{lanes}")
        self.kind, self.lanes = kind, lanes

    @property
    def llvm(self) -> ir.VectorType:
        return ir.VectorType(_ELEMENT[self.kind], self.lanes)


@register_model(Vector)
class _VectorModel(models.PrimitiveModel):
    def __init__(self, dmm: Any, fe_type: Vector) -> None:
        super().__init__(dmm, fe_type, fe_type.llvm)


# ---------------------------------------------------------------- operators


def _broadcast(builder: Any, value: Any, vector: ir.VectorType) -> Any:
    undefined = ir.Constant(vector, ir.Undefined)
    first = builder.insert_element(undefined, value, ir.Constant(_I32, 0))
    return builder.shuffle_vector(first, undefined, ir.Constant(ir.VectorType(_I32, vector.count), [0] * vector.count))


def _as_vector(context: Any, builder: Any, value: Any, source: types.Type, target: Vector) -> Any:
    if isinstance(source, Vector):
        return value
    element = types.float32 if target.kind == "float" else types.int32
    return _broadcast(builder, context.cast(builder, value, source, element), target.llvm)


def _common(a: types.Type, b: types.Type) -> Any:
    """The vector type in which two operands meet, or None."""
    if isinstance(a, Vector) and isinstance(b, Vector):
        return a if a == b else None
    if isinstance(a, Vector) and isinstance(b, types.Number):
        return a
    if isinstance(b, Vector) and isinstance(a, types.Number):
        return b
    return None


def _register_binary(op: Callable, emit: dict[str, Callable], compare: bool = False) -> None:
    @infer_global(op)
    class _Template(AbstractTemplate):
        def generic(self, args: tuple, kws: dict) -> Any:
            common = _common(*args) if len(args) == 2 else None
            if common is None or common.kind not in emit:
                return None
            return signature(Vector("mask", common.lanes) if compare else common, *args)

    def lower(context: Any, builder: Any, sig: Any, args: tuple) -> Any:
        common = _common(*sig.args)
        left, right = (_as_vector(context, builder, v, t, common) for v, t in zip(args, sig.args, strict=True))
        return emit[common.kind](builder, left, right)

    for pair in ((Vector, Vector), (Vector, types.Number), (types.Number, Vector)):
        lower_builtin(op, *pair)(lower)


_ADD = {"float": lambda b, x, y: b.fadd(x, y, flags=_FLAGS), "int": lambda b, x, y: b.add(x, y)}
_SUB = {"float": lambda b, x, y: b.fsub(x, y, flags=_FLAGS), "int": lambda b, x, y: b.sub(x, y)}
_register_binary(operator.add, _ADD)
_register_binary(operator.sub, _SUB)
_register_binary(operator.mul, {"float": lambda b, x, y: b.fmul(x, y, flags=_FLAGS)})
_register_binary(operator.truediv, {"float": lambda b, x, y: b.fdiv(x, y, flags=_FLAGS)})
_register_binary(operator.lshift, {"int": lambda b, x, y: b.shl(x, y)})
_register_binary(operator.rshift, {"int": lambda b, x, y: b.lshr(x, y)})
_register_binary(operator.and_, {"mask": lambda b, x, y: b.and_(x, y), "int": lambda b, x, y: b.and_(x, y)})
_register_binary(operator.or_, {"int": lambda b, x, y: b.or_(x, y)})
for _op, _symbol in ((operator.lt, "<"), (operator.le, "<="), (operator.gt, ">"), (operator.ge, ">=")):
    _register_binary(_op, {"float": lambda b, x, y, s=_symbol: b.fcmp_ordered(s, x, y)}, compare=True)


@infer_global(operator.neg)
class _NegTemplate(AbstractTemplate):
    def generic(self, args: tuple, kws: dict) -> Any:
        return signature(args[0], *args) if isinstance(args[0], Vector) and args[0].kind == "float" else None


@lower_builtin(operator.neg, Vector)
def _lower_neg(context: Any, builder: Any, sig: Any, args: tuple) -> Any:
    return builder.fneg(args[0], flags=_FLAGS)


# ---------------------------------------------------------------- functions of vectors


def _llvm_call(builder: Any, name: str, result: ir.Type, args: list) -> Any:
    function = builder.module.globals.get(name)
    if function is None:
        function = ir.Function(builder.module, ir.FunctionType(result, [a.type for a in args]), name)
    return builder.call(function, args, fastmath=_FLAGS if isinstance(result, ir.VectorType) else ())


def _unary(name: str) -> Callable:
    """An intrinsic that applies LLVM's element-wise function `name` to a float vector."""

    @intrinsic
    def function(typingctx, x):
        def codegen(context, builder, sig, args):
            kind = sig.return_type
            return _llvm_call(builder, f"llvm.{name}.v{kind.lanes}f32", kind.llvm, list(args))

        return x(x), codegen

    return function


sqrt, floor, ceil, absolute = _unary("sqrt"), _unary("floor"), _unary("ceil"), _unary("fabs")


@intrinsic
def select(typingctx, mask, if_true, if_false):
    """`if_true` in the lanes where `mask` holds, `if_false` elsewhere; either may be a number."""
    result = _common(if_true, if_false)

    def codegen(context, builder, sig, args):
        yes, no = (_as_vector(context, builder, args[k], sig.args[k], result) for k in (1, 2))
        return builder.select(args[0], yes, no)

    return result(mask, if_true, if_false), codegen


def _extremum(symbol: str) -> Callable:
    @intrinsic
    def function(typingctx, a, b):
        result = _common(a, b)

        def codegen(context, builder, sig, args):
            x, y = (_as_vector(context, builder, v, t, result) for v, t in zip(args, sig.args, strict=True))
            return builder.select(builder.fcmp_ordered(symbol, x, y), x, y)

        return result(a, b), codegen

    return function


minimum, maximum = _extremum("<"), _extremum(">")  # a NaN in the first argument gives the second


def _converter(lanes: int) -> Callable:
    @intrinsic
    def broadcast(typingctx, x):
        """A vector with `x` (float32) in every lane."""
        result = Vector("float", lanes)

        def codegen(context, builder, sig, args):
            return _as_vector(context, builder, args[0], sig.args[0], result)

        return result(x), codegen

    return broadcast


splat8, splat16 = _converter(8), _converter(16)


@intrinsic
def lane_numbers(typingctx, like):
    """0, 1, 2 … as a float vector as wide as `like`."""

    def codegen(context, builder, sig, args):
        return ir.Constant(sig.return_type.llvm, [float(k) for k in range(sig.return_type.lanes)])

    return like(like), codegen


@intrinsic
def to_int(typingctx, x):
    """Float lanes truncated to int32; the caller keeps them in range."""
    result = Vector("int", x.lanes)
    return result(x), lambda context, builder, sig, args: builder.fptosi(args[0], result.llvm)


@intrinsic
def to_float(typingctx, x):
    """Int lanes as floats."""
    result = Vector("float", x.lanes)
    return result(x), lambda context, builder, sig, args: builder.sitofp(args[0], result.llvm)


@intrinsic
def float_bits(typingctx, x):
    """The bit patterns of float lanes as int lanes."""
    result = Vector("int", x.lanes)
    return result(x), lambda context, builder, sig, args: builder.bitcast(args[0], result.llvm)


@intrinsic
def bits_to_float(typingctx, x):
    """Int lanes read as float bit patterns."""
    result = Vector("float", x.lanes)
    return result(x), lambda context, builder, sig, args: builder.bitcast(args[0], result.llvm)


@intrinsic
def mask_bits(typingctx, mask):
    """The lanes of a mask as the low bits of an integer, lane 0 lowest."""

    def codegen(context, builder, sig, args):
        return builder.zext(builder.bitcast(args[0], ir.IntType(sig.args[0].lanes)), _I64)

    return types.uint64(mask), codegen


@intrinsic
def low_bytes(typingctx, x):
    """The lowest byte of each of 8 int lanes, packed into one 64-bit integer, lane 0 lowest."""

    def codegen(context, builder, sig, args):
        return builder.bitcast(builder.trunc(args[0], ir.VectorType(ir.IntType(8), 8)), _I64)

    return types.uint64(x), codegen


@intrinsic
def reduce_sum(typingctx, x):
    """Sum of the lanes of a float vector."""

    def codegen(context, builder, sig, args):
        name = f"llvm.vector.reduce.fadd.v{sig.args[0].lanes}f32"
        function = builder.module.globals.get(name)
        if function is None:
            function = ir.Function(builder.module, ir.FunctionType(_F32, [_F32, args[0].type]), name)
        return builder.call(function, [ir.Constant(_F32, 0.0), args[0]], fastmath=_FLAGS)

    return types.float32(x), codegen


# ---------------------------------------------------------------- memory


def _element_pointer(context: Any, builder: Any, array_type: Any, array: Any, index: Any) -> Any:
    return builder.gep(context.make_array(array_type)(context, builder, array).data, [index])


def _vector_pointer(context: Any, builder: Any, sig: Any, args: tuple, vector: ir.VectorType, offset: int = 0) -> Any:
    index = builder.add(args[1], ir.Constant(_I64, offset))
    return builder.bitcast(_element_pointer(context, builder, sig.args[0], args[0], index), vector.as_pointer())


def _loader(lanes: int) -> Callable:
    @intrinsic
    def load(typingctx, array, index):
        """The lanes at flat float32 `array[index:index + lanes]`; no bounds check."""
        result = Vector("float", lanes)

        def codegen(context, builder, sig, args):
            return builder.load(_vector_pointer(context, builder, sig, args, result.llvm), align=4)

        return result(array, types.int64), codegen

    return load


load8, load16 = _loader(8), _loader(16)


@intrinsic
def store(typingctx, array, index, x):
    """Writes the lanes of `x` to flat float32 `array[index:index + lanes]`; no bounds check."""

    def codegen(context, builder, sig, args):
        builder.store(args[2], _vector_pointer(context, builder, sig, args, sig.args[2].llvm), align=4)
        return context.get_dummy_value()

    return types.void(array, types.int64, x), codegen


@intrinsic
def prefetch(typingctx, array, index):
    """Asks for the cache line of flat `array[index]`."""

    def codegen(context, builder, sig, args):
        byte = ir.IntType(8).as_pointer()
        pointer = builder.bitcast(_element_pointer(context, builder, sig.args[0], args[0], args[1]), byte)
        read, keep, data = (ir.Constant(_I32, k) for k in (0, 3, 1))
        _llvm_call(builder, "llvm.prefetch.p0", ir.VoidType(), [pointer, read, keep, data])
        return context.get_dummy_value()

    return types.void(array, types.int64), codegen


# ---------------------------------------------------------------- scalars


@intrinsic
def lowest_bit(typingctx, bits):
    """Index of the lowest set bit of a non-zero uint64."""

    def codegen(context, builder, sig, args):
        return builder.cttz(args[0], ir.Constant(ir.IntType(1), 1))

    return types.int64(types.uint64), codegen


@intrinsic
def atomic_next(typingctx, counter):
    """Adds one to int64 `counter[0]` and gives the value before: the next piece of work for this thread."""

    def codegen(context, builder, sig, args):
        pointer = _element_pointer(context, builder, sig.args[0], args[0], ir.Constant(_I64, 0))
        return builder.atomic_rmw("add", pointer, ir.Constant(_I64, 1), "monotonic")

    return types.int64(counter), codegen
