"""Functions over arrays of floats in LLVM's intermediate code, compiled in memory for the processor at hand.

A kernel of a library must serve every size; one that is made when it is needed has sizes and strides as constants, does
what comes before and after on the way, and keeps its sums in registers. `Code` writes such a function: loops, vectors,
tables. Nothing is written to disk.
"""

import ctypes
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cache, partial, reduce
from pathlib import Path
from typing import Any, NamedTuple

import torch
from llvmlite import binding, ir
from torch import Tensor

from unbraid.kernels import tape

FLOAT, POINTER = ir.FloatType(), ir.PointerType()
_ZERO = ir.Constant(FLOAT, 0.0)
INDEX, INT, VOID = ir.IntType(64), ir.IntType(32), ir.VoidType()
_OPENMP = ("GOMP_parallel", "GOMP_barrier", "omp_get_thread_num", "omp_get_num_threads")

Index = Any  # an int, or what LLVM will know as one
AT_ONCE = 4  # vectors, for `Code.along`, of what takes many operations: one alone is waited for at each of them
_SHIFT = 1.5 * 2**23
GRAIN = 1 << 15  # numbers up to which torch has one thread for an operator; for a sum it has several from there on
LINE = 16  # floats of a line of the cache, where no two threads should write
# Of LLVM's optimizer: code is written as it should run, and all of LLVM's first level takes four times as long.
_PASSES = "sroa", "instruction_combine", "loop_rotate", "loop_unroll", "instruction_combine", "simplify_cfg"


@cache
def lanes() -> int:
    """Floats of the widest vectors that torch uses on this processor; 0 where this module knows none, or no threads."""
    width = {"AVX512": 16, "AVX2": 8}.get(torch.backends.cpu.get_cpu_capability(), 0)
    return width if width and _openmp() else 0


def registers() -> int:
    """Sums that can be kept beside their operands: the processor has 32 wide vectors, or 16 narrow ones."""
    return 24 if lanes() == 16 else 12


def widths(count: int) -> list[tuple[int, int]]:
    """`count` floats as vectors, (where each begins, how many it holds): as wide as can be, then powers of two."""
    found, start = [], 0
    while start < count:
        width = lanes()
        while width > count - start:
            width //= 2
        found.append((start, width))
        start += width
    return found


def widths_along(count: int, at_once: int) -> set[int]:
    """Of the vectors of `Code.along`."""
    most = at_once * lanes()
    return {*([most] if count >= most else []), *(width for _, width in widths(count % most))}


class Code:
    """The body of one function, written in order. Pointers are to floats, and distances between them in floats."""

    def __init__(self, builder: ir.IRBuilder) -> None:
        self.builder = builder

    def index(self, value: Index) -> Any:
        return value if isinstance(value, ir.Value) else ir.Constant(INDEX, value)

    def add(self, a: Index, b: Index) -> Any:
        return self.builder.add(self.index(a), self.index(b))

    def multiply(self, a: Index, b: Index) -> Any:
        return self.builder.mul(self.index(a), self.index(b))

    def divide(self, a: Index, b: Index) -> Any:
        return self.builder.udiv(self.index(a), self.index(b))

    def remainder(self, a: Index, b: Index) -> Any:
        return self.builder.urem(self.index(a), self.index(b))

    def portion(self, count: Index, share: Index, shares: Index) -> "Span":
        """One share of so many things; shares differ by one thing at most."""
        return Span(*(self.divide(self.multiply(count, number), shares) for number in (self.add(share, 1), share)))

    def smaller(self, a: Index, b: Index) -> Any:
        a, b = self.index(a), self.index(b)
        return self.builder.select(self.builder.icmp_signed("<", a, b), a, b)

    def at(self, pointer: Any, distance: Index) -> Any:
        return self.builder.gep(pointer, [self.index(distance)], source_etype=FLOAT)

    @contextmanager
    def loop(self, stop: Index, start: Index = 0, step: Index = 1, *, unrolled: bool = False) -> Iterator[Any]:
        """The block is run for each index; one that is known to be run once is no loop. If `unrolled`, LLVM writes it
        several times in a row as it sees fit: for the innermost of those that take the time, since it takes longer to
        compile."""
        if (start, stop, step) == (0, 1, 1):
            yield self.index(0)
            return
        builder, counter = self.builder, self.variable(self.index(start))
        head, body, end = (builder.function.append_basic_block() for _ in range(3))
        builder.branch(head)
        builder.position_at_end(head)
        current = self.get(counter)
        builder.cbranch(builder.icmp_signed("<", current, self.index(stop)), body, end)
        builder.position_at_end(body)
        yield current
        builder.store(self.add(current, step), counter)
        back = builder.branch(head)
        if not unrolled:
            back.set_metadata("llvm.loop", _not_unrolled(builder.module))
        builder.position_at_end(end)

    def apart(self, write: Callable[..., None], *values: Any) -> None:
        """Has `write(code, *values)` write a function of its own, and calls it: the time to compile grows faster than a
        function's length."""
        module = self.builder.module
        kind = ir.FunctionType(VOID, [value.type for value in values])
        function = ir.Function(module, kind, name=module.get_unique_name("part"))
        function.linkage = "internal"
        entry, start = function.append_basic_block(), function.append_basic_block()
        builder = ir.IRBuilder(start)
        write(Code(builder), *function.args)
        builder.ret_void()
        builder.position_at_end(entry)
        builder.branch(start)
        self.builder.call(function, values)

    def variable(self, value: Any) -> Any:
        """LLVM makes a register of it."""
        with self.builder.goto_entry_block():
            place = self.builder.alloca(value.type)
        self.builder.store(value, place)
        return place

    def get(self, variable: Any) -> Any:
        return self.builder.load(variable, typ=variable.allocated_type)

    def set(self, variable: Any, value: Any) -> None:
        self.builder.store(value, variable)

    def table(self, values: Sequence[int]) -> Callable[[Index], Any]:
        """What stands there at an index."""
        kind, module = ir.ArrayType(INDEX, len(values)), self.builder.module
        array = ir.GlobalVariable(module, kind, module.get_unique_name("table"))
        array.linkage, array.global_constant = "internal", True
        array.initializer = ir.Constant(kind, list(values))
        return lambda at: self.whole(array, at)

    def load(self, pointer: Any, width: int) -> Any:
        return self.builder.load(pointer, typ=ir.VectorType(FLOAT, width), align=4)

    def store(self, value: Any, pointer: Any) -> None:
        self.builder.store(value, pointer, align=4)

    def scalar(self, pointer: Any) -> Any:
        return self.builder.load(pointer, typ=FLOAT, align=4)

    def whole(self, pointer: Any, at: Index) -> Any:
        """A number of an array of int64."""
        place = self.builder.gep(pointer, [self.index(at)], source_etype=INDEX)
        return self.builder.load(place, typ=INDEX)

    def pointer(self, address: Any) -> Any:
        return self.builder.inttoptr(address, POINTER)

    def where_there(self, array: Any, yes: Any, no: Any) -> Any:
        """The one pointer, or the other where an array is None."""
        is_there = self.builder.icmp_unsigned("!=", self.number(array), self.index(0))
        return self.builder.select(is_there, yes, no)

    def number(self, given: Any) -> Any:
        """That stands in the place of an array."""
        return self.builder.ptrtoint(given, INDEX)

    def spread(self, scalar: Any, width: int) -> Any:
        """A vector of one number."""
        nothing = ir.Constant(ir.VectorType(FLOAT, width), ir.Undefined)
        first = self.builder.insert_element(nothing, scalar, ir.Constant(INT, 0))
        return self.builder.shuffle_vector(first, nothing, _ints(0, width))

    def counted(self, first: Index, width: int, by: float) -> Any:
        """first, first + by, first + 2 by ... as floats."""
        start = self.builder.sitofp(self.index(first), FLOAT)
        steps = ir.Constant(ir.VectorType(FLOAT, width), [by * number for number in range(width)])
        return self.total(self.spread(start, width), steps)

    def picked(self, vector: Any, places: Sequence[int]) -> Any:
        """The vector of what stands at these places of another."""
        mask = ir.Constant(ir.VectorType(INT, len(places)), list(places))
        return self.builder.shuffle_vector(vector, ir.Constant(vector.type, ir.Undefined), mask)

    def joined(self, first: Any, second: Any, places: Sequence[int] = ()) -> Any:
        """Both side by side, or what stands at these places then."""
        chosen = [*places] or [*range(2 * first.type.count)]
        return self.builder.shuffle_vector(first, second, ir.Constant(ir.VectorType(INT, len(chosen)), chosen))

    def sum(self, vector: Any) -> Any:
        """The sum of what stands in it, a vector of one; halves are added first, so that no sum is long."""
        while (width := vector.type.count) > 1:
            halves = self.picked(vector, range(width // 2)), self.picked(vector, range(width // 2, width))
            vector = self.total(*halves)
        return vector

    def constant(self, value: float, width: int) -> Any:
        return ir.Constant(ir.VectorType(FLOAT, width), [value] * width)

    def total(self, *values: Any) -> Any:
        return reduce(self.builder.fadd, values)

    def multiply_add(self, a: Any, b: Any, c: Any) -> Any:
        return self.builder.call(self._intrinsic("fma", a.type, 3), [a, b, c])

    def root(self, a: Any) -> Any:
        return self.builder.call(self._intrinsic("sqrt", a.type, 1), [a])

    def power_of_two(self, a: Any, by: float) -> tuple[Any, Any]:
        """(2 ** whole, whole) with the whole numbers that are nearest to a times `by`, between -126 and 127."""
        builder, width = self.builder, a.type.count
        shift = self.constant(_SHIFT, width)  # beside this number a float has whole ones alone, in its last bits
        shifted = self.multiply_add(a, self.constant(by, width), shift)
        exponent = builder.shl(builder.bitcast(shifted, ir.VectorType(INT, width)), _ints(23, width))
        power = builder.bitcast(builder.add(exponent, _ints(127 << 23, width)), a.type)
        return power, builder.fsub(shifted, shift)

    def select(self, a: Any, comparison: str, b: float, yes: Any, no: Any) -> Any:
        """`yes` where a < b (or > and so on), and `no` elsewhere, also where a is NaN."""
        test = self.builder.fcmp_ordered(comparison, a, self.constant(b, a.type.count))
        return self.builder.select(test, yes, no)

    def along(self, count: Index, at_once: int = 1) -> Iterator[tuple[Any, int]]:
        """(place, width) of the vectors of so many floats in a row; what is written in this loop is run for each.

        at_once: that many side by side as one, so that none waits for another, where there are that many in a `count`
        that is known.
        """
        if not isinstance(count, int):
            whole = self.divide(count, lanes())
            with self.loop(whole, unrolled=True) as number:
                yield self.multiply(number, lanes()), lanes()
            with self.loop(count, self.multiply(whole, lanes())) as place:
                yield place, 1
            return
        most = at_once * lanes()
        whole = count // most
        if whole:
            with self.loop(whole, unrolled=at_once == 1) as number:
                yield self.multiply(number, most), most
        for start, width in widths(count % most):
            yield self.index(whole * most + start), width

    def copy(self, source: Any, target: Any, count: int) -> None:
        for place, width in self.along(count):
            self.store(self.load(self.at(source, place), width), self.at(target, place))

    def fill(self, pointer: Any, count: int, scalar: Any = _ZERO) -> None:
        for place, width in self.along(count):
            self.store(self.spread(scalar, width), self.at(pointer, place))

    def _intrinsic(self, name: str, kind: Any, arguments: int) -> Any:
        return declared(self.builder.module, f"llvm.{name}.v{kind.count}f32", kind, [kind] * arguments)


def shares_of(images: int) -> int:
    """How many a kernel works on so many images in."""
    return min(images, torch.get_num_threads())


class Span(NamedTuple):
    """The images of a share, or other things in a row: from the first to before the last, as `Code.loop` takes them."""

    last: Any
    first: Any


class Share(NamedTuple):
    """One of several, and the images of them all."""

    number: Any
    count: Any
    images: Any


class Room:
    """Of a share's working space: what lies in it, one after another."""

    floats = 0

    def take(self, floats: int) -> int:
        place = self.floats
        self.floats += -(-floats // LINE) * LINE
        return place


def compiled(
    arrays: int,
    work: Callable[[Code, Span, Sequence[Any]], None],
    *,
    share_of_array: Mapping[int, int] | None = None,
    end: Callable[[Code, Share, Sequence[Any]], None] | None = None,
) -> "Kernel":
    """A kernel that works on images in shares, each on a thread.

    A share runs `work(code, its images, arrays)` and, when all shares have, `end(code, share, arrays)`. A share is the
    same whatever thread takes it, so that results hang on how many shares there are and nothing else. Each has a
    thread: see `shares_of`.

    share_of_array: floats of an array that belong to one share; the others are one for all, as all are at the end.
    """
    module = ir.Module()
    module.triple = binding.get_default_triple()
    _write_body(module, arrays, work, share_of_array or {}, end)
    return Kernel(_compiled(module), arrays)


class Kernel:
    """What was compiled: a function over images, in shares, of arrays, each None where none is needed, or a number."""

    def __init__(self, engine: binding.ExecutionEngine, arrays: int) -> None:
        self._engine = engine  # it owns the code
        self._call = ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_int)(engine.get_function_address("kernel"))
        self._numbers = ctypes.c_int64 * (2 + arrays)

    def __call__(self, images: int, shares: int, arrays: Sequence[Tensor | int | None]) -> None:
        again = self.bound(images, shares, arrays)
        again()
        if writing := tape.running():
            writing.kernel(again, [array.detach() for array in arrays if isinstance(array, Tensor)], self)

    def bound(self, images: int, shares: int, arrays: Sequence[Tensor | int | None]) -> Callable[[], None]:
        """A call that can be made again and again, as long as somebody keeps the arrays and this kernel."""
        addresses = (array.data_ptr() if isinstance(array, Tensor) else array or 0 for array in arrays)
        return partial(self._call, self._numbers(images, shares, *addresses), shares)


def _write_body(module: ir.Module, arrays: int, work: Any, share_of_array: Any, end: Any) -> None:
    body = ir.Function(module, ir.FunctionType(VOID, [POINTER]), name="body")
    body.linkage = "internal"
    entry, start = body.append_basic_block(), body.append_basic_block()
    builder = ir.IRBuilder(start)
    code = Code(builder)

    def argument(number: int) -> Any:
        return code.whole(body.args[0], number)

    def asked(function: str) -> Any:
        return builder.sext(builder.call(declared(module, function, INT, []), []), INDEX)

    images, shares = argument(0), argument(1)
    pointers = [code.pointer(argument(2 + number)) for number in range(arrays)]
    thread, threads = asked("omp_get_thread_num"), asked("omp_get_num_threads")
    with code.loop(shares, thread, threads) as share:
        own = [*pointers]
        for number, floats in share_of_array.items():
            own[number] = code.at(pointers[number], code.multiply(share, floats))
        work(code, code.portion(images, share, shares), own)
    if end is not None:
        builder.call(declared(module, "GOMP_barrier", VOID, []), [])
        with code.loop(shares, thread, threads) as share:
            end(code, Share(share, shares, images), pointers)
    builder.ret_void()
    builder.position_at_end(entry)
    builder.branch(start)
    kernel = ir.Function(module, ir.FunctionType(VOID, [POINTER, INT]), name="kernel")
    builder = ir.IRBuilder(kernel.append_basic_block())
    one = ir.Constant(INT, 1)
    # Not as a team of one, which would be a level of its own: in that, MKL starts other threads at each call.
    with builder.if_then(builder.icmp_signed("==", kernel.args[1], one)):
        builder.call(body, kernel.args[:1])
        builder.ret_void()
    parallel = declared(module, "GOMP_parallel", VOID, [POINTER, POINTER, INT, INT])
    builder.call(parallel, [body, *kernel.args, ir.Constant(INT, 0)])
    builder.ret_void()


def _compiled(module: ir.Module) -> binding.ExecutionEngine:
    machine = _machine()
    parsed = binding.parse_assembly(str(module))
    passes = binding.create_new_function_pass_manager()
    for add in _PASSES:
        getattr(passes, f"add_{add}_pass")()
    builder = binding.create_pass_builder(machine, binding.create_pipeline_tuning_options())
    for function in parsed.functions:
        if not function.is_declaration:
            passes.run(function, builder)
    engine = binding.create_mcjit_compiler(parsed, machine)
    engine.finalize_object()
    return engine


def _machine() -> binding.TargetMachine:
    """Another each time: an engine owns its own."""
    for name, address in (_openmp() or {}).items():
        binding.add_symbol(name, address)
    binding.initialize_native_target()
    binding.initialize_native_asmprinter()
    target = binding.Target.from_default_triple()
    features = binding.get_host_cpu_features()
    if lanes() < 16:  # torch was told to keep to narrow vectors, or the processor has none else
        features = {name: there and not name.startswith("avx512") for name, there in features.items()}
    flags = ",".join(("+" if there else "-") + name for name, there in sorted(features.items()))
    return target.create_target_machine(cpu=binding.get_host_cpu_name(), features=flags, opt=1, jit=True)


@cache
def _openmp() -> dict[str, int] | None:
    """Addresses of what starts torch's own threads, so that there are no others beside them; None where it has none."""
    found = {name: address for name in _OPENMP if (address := of_torch(name)) is not None}
    return found if len(found) == len(_OPENMP) else None


def of_torch(name: str) -> int | None:
    """The address of a function of torch's library, or of those that it is linked with; None where there is none."""
    library = _torch()
    if library is None or not hasattr(library, name):
        return None
    return ctypes.cast(getattr(library, name), ctypes.c_void_p).value


@cache
def _torch() -> ctypes.CDLL | None:
    library = Path(torch.__file__).parent / "lib" / "libtorch_cpu.so"
    return ctypes.CDLL(str(library)) if library.exists() else None


def declared(module: ir.Module, name: str, result: Any, arguments: Sequence[Any]) -> Any:
    found = module.globals.get(name)
    return found if found is not None else ir.Function(module, ir.FunctionType(result, arguments), name=name)


def _not_unrolled(module: ir.Module) -> ir.MDValue:
    """What says so of one loop."""
    word = module.add_metadata([ir.MetaDataString(module, "llvm.loop.unroll.disable")])
    loop = ir.MDValue(module, [word, word], name=str(len(module.metadata)))
    loop.operands = loop, word  # LLVM knows a loop's by the node that names itself first
    return loop


def _ints(value: int, width: int) -> Any:
    return ir.Constant(ir.VectorType(INT, width), [value] * width)
