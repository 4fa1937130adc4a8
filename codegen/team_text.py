"""The native part of the team of threads: waking, sharing out, waiting. What it does is told in `team`.

    void graphc_team_run(i64 pieces, ptr task, ptr argument)      task(i64 member, i64 pieces, ptr argument)
    void graphc_share(ptr phase, ptr table, ptr sizes, i64 member, i64 pieces, ptr record)
    void graphc_finish(ptr record, i64 status)                    a phase that one member did is done
    void graphc_await(ptr record, i64 pieces)                     until all pieces of a phase are done
    void graphc_barriers(i64 member, i64 pieces, ptr argument)    a task: two members meet some times

A phase is divided in as many pieces as there should be members, and each member takes its own piece first,
then those that nobody took: who comes late, or not at all, is not waited for. A record says what became of a
phase:

    0 pieces that were taken i64, a bit for each | 8 pieces done i32, their sleepers i32 | 16 status i64

The state of the team, one cache line for each thing that is written alone:

      0 busy i32             | 64 task, argument, pieces | 128 gate i32, its sleepers i32
    192 arrived i32          | 256 generation i32, its sleepers i32
    320 workers i64, grain i64
    384 + 64 * member: epoch i32, its sleepers i32, the member's number i64

The gate has a bit for "open", and counts the workers that are inside: the caller closes it and returns when
they have left. Whoever waits for a word to change pauses for a while, then gives the core away some times,
and then sleeps in a futex on that word; the 4 bytes behind the word count the sleepers, so that nobody calls
Linux in vain.
"""

from __future__ import annotations

from graphc.codegen.target import Target

STATE, RUN, BARRIERS = "graphc_team", "graphc_team_run", "graphc_barriers"
SHARE, FINISH, AWAIT = "graphc_share", "graphc_finish", "graphc_await"
FUNCTIONS = (RUN, SHARE, FINISH, AWAIT, BARRIERS)
MOST = 64
"""Members that a team may have: a record has a bit for each of their pieces."""
RECORD, STATUS_AT = 32, 16
"""Bytes of a record, and where its status is."""
WORKERS_AT, GRAIN_AT, MEMBERS_AT, LINE = 320, 328, 384, 64
BYTES = MEMBERS_AT + LINE * MOST

_FUTEX = {"x86_64": 202, "aarch64": 98}
_PAUSE = {
    "x86_64": ("declare void @llvm.x86.sse2.pause()", "call void @llvm.x86.sse2.pause()"),
    "aarch64": ("declare void @llvm.aarch64.hint(i32)", "call void @llvm.aarch64.hint(i32 1)"),
}
IDLE, INSIDE = 8_000, 1_000
"""Pauses of a worker between two calls, of a member between two kernels, before it gives its core away."""
YIELDS = 200
"""How often it does so before it sleeps."""
_OPEN = 1 << 30
_BLOCKED = -1 ^ sum(1 << (signal - 1) for signal in (4, 5, 6, 7, 8, 11))
"""The signals that workers leave to Python's threads: all but those of faults (a set of bits on Linux)."""


def machine_of(target: Target) -> str:
    """The name of a processor family in a target's triple."""
    return target.triple.split("-")[0]


def is_supported(target: Target) -> bool:
    """Whether teams work there: on Linux, for processors whose number of the futex call is known."""
    return "linux" in target.triple and machine_of(target) in _FUTEX


def team_text(target: Target) -> str:
    """The module of the team; its state is bound when it is loaded."""
    machine = machine_of(target)
    declare, pause = _PAUSE[machine]
    return _TEXT.format(
        declare=declare,
        pause=pause,
        futex=_FUTEX[machine],
        state=STATE,
        run=RUN,
        barriers=BARRIERS,
        share=SHARE,
        finish=FINISH,
        wait_for=AWAIT,
        status=STATUS_AT,
        open=_OPEN,
        closed=_OPEN - 1,
        workers=WORKERS_AT,
        members=MEMBERS_AT,
        line=LINE,
        most=MOST,
        idle=IDLE,
        inside=INSIDE,
        yields=YIELDS,
        blocked=_BLOCKED,
    )


_TEXT = """
@{state} = external global i8
declare i32 @pthread_create(ptr, ptr, ptr, ptr)
declare i32 @pthread_detach(i64)
declare i32 @pthread_sigmask(i32, ptr, ptr)
declare i64 @syscall(i64, ...)
declare i32 @sched_yield()
{declare}

; Until the word differs from %old. FUTEX_WAIT returns at once if it does already.
define internal void @wait(ptr %word, i32 %old, i32 %pauses) {{
entry:
  %sleepers = getelementptr i8, ptr %word, i64 4
  %most = add i32 %pauses, {yields}
  br label %look
look:
  %tries = phi i32 [0, %entry], [%more, %pause], [%more, %yield], [%tries, %sleep]
  %now = load atomic i32, ptr %word acquire, align 4
  %changed = icmp ne i32 %now, %old
  br i1 %changed, label %done, label %again
again:
  %more = add i32 %tries, 1
  %early = icmp ult i32 %tries, %pauses
  br i1 %early, label %pause, label %late
pause:
  {pause}
  br label %look
late:
  %polite = icmp ult i32 %tries, %most
  br i1 %polite, label %yield, label %sleep
yield:
  call i32 @sched_yield()
  br label %look
sleep:
  atomicrmw add ptr %sleepers, i32 1 seq_cst
  call i64 (i64, ...) @syscall(i64 {futex}, ptr %word, i32 128, i32 %old, ptr null, ptr null, i32 0)
  atomicrmw sub ptr %sleepers, i32 1 seq_cst
  br label %look
done:
  ret void
}}

; After a word was changed (with seq_cst): wake those who sleep on it.
define internal void @wake(ptr %word) {{
  %sleepers = getelementptr i8, ptr %word, i64 4
  %asleep = load atomic i32, ptr %sleepers seq_cst, align 4
  %any = icmp ne i32 %asleep, 0
  br i1 %any, label %call, label %done
call:
  call i64 (i64, ...) @syscall(i64 {futex}, ptr %word, i32 129, i32 2147483647, ptr null, ptr null, i32 0)
  br label %done
done:
  ret void
}}

define void @{share}(ptr %phase, ptr %table, ptr %sizes, i64 %member, i64 %pieces, ptr %record) {{
entry:
  br label %next
next:
  %k = phi i64 [0, %entry], [%k1, %on]
  %more = icmp slt i64 %k, %pieces
  br i1 %more, label %look, label %leave
leave:
  ret void
look:
  %k1 = add i64 %k, 1
  %sum = add i64 %k, %member
  %i = urem i64 %sum, %pieces
  %bit = shl i64 1, %i
  %seen = load atomic i64, ptr %record monotonic, align 8
  %there = and i64 %seen, %bit
  %free = icmp eq i64 %there, 0
  br i1 %free, label %take, label %on
take:
  %before = atomicrmw or ptr %record, i64 %bit acq_rel
  %taken = and i64 %before, %bit
  %mine = icmp eq i64 %taken, 0
  br i1 %mine, label %work, label %on
work:
  %status = call i64 %phase(ptr %table, ptr %sizes, i64 %i, i64 %pieces)
  call void @{finish}(ptr %record, i64 %status)
  br label %on
on:
  br label %next
}}

define void @{finish}(ptr %record, i64 %status) {{
  %failed = icmp ne i64 %status, 0
  br i1 %failed, label %tell, label %count
tell:
  %place = getelementptr i8, ptr %record, i64 {status}
  store atomic i64 %status, ptr %place monotonic, align 8
  br label %count
count:
  %done = getelementptr i8, ptr %record, i64 8
  atomicrmw add ptr %done, i32 1 seq_cst
  call void @wake(ptr %done)
  ret void
}}

define void @{wait_for}(ptr %record, i64 %pieces) {{
entry:
  %done = getelementptr i8, ptr %record, i64 8
  %all = trunc i64 %pieces to i32
  br label %look
look:
  %now = load atomic i32, ptr %done acquire, align 4
  %fine = icmp sge i32 %now, %all
  br i1 %fine, label %leave, label %still
still:
  call void @wait(ptr %done, i32 %now, i32 {inside})
  br label %look
leave:
  ret void
}}

define void @{run}(i64 %wanted, ptr %task, ptr %argument) {{
entry:
  %several = icmp sgt i64 %wanted, 1
  br i1 %several, label %claim, label %alone
claim:
  %pair = cmpxchg ptr @{state}, i32 0, i32 1 acquire monotonic
  %mine = extractvalue {{i32, i1}} %pair, 1
  br i1 %mine, label %lead, label %alone
alone:
  call void %task(i64 0, i64 1, ptr %argument)
  ret void
lead:
  %pieces = call i64 @llvm.smin.i64(i64 %wanted, i64 {most})
  %there = call i64 @hire(i64 %pieces)
  %last = call i64 @llvm.smin.i64(i64 %pieces, i64 %there)
  %nobody = icmp sle i64 %last, 1
  br i1 %nobody, label %lonely, label %ready
lonely:
  store atomic i32 0, ptr @{state} release, align 4
  br label %alone
ready:
  %task_p = getelementptr i8, ptr @{state}, i64 64
  %argument_p = getelementptr i8, ptr @{state}, i64 72
  %pieces_p = getelementptr i8, ptr @{state}, i64 80
  %gate = getelementptr i8, ptr @{state}, i64 128
  store ptr %task, ptr %task_p
  store ptr %argument, ptr %argument_p
  store i64 %pieces, ptr %pieces_p
  store atomic i32 {open}, ptr %gate seq_cst, align 4
  br label %call
call:
  %i = phi i64 [1, %ready], [%next, %start]
  %more = icmp slt i64 %i, %last
  br i1 %more, label %start, label %work
start:
  %epoch = call ptr @member(i64 %i)
  atomicrmw add ptr %epoch, i32 1 seq_cst
  call void @wake(ptr %epoch)
  %next = add i64 %i, 1
  br label %call
work:
  call void %task(i64 0, i64 %pieces, ptr %argument)
  atomicrmw and ptr %gate, i32 {closed} seq_cst
  br label %join
join:
  %inside = load atomic i32, ptr %gate acquire, align 4
  %empty = icmp eq i32 %inside, 0
  br i1 %empty, label %release, label %still
still:
  call void @wait(ptr %gate, i32 %inside, i32 {inside})
  br label %join
release:
  store atomic i32 0, ptr @{state} release, align 4
  ret void
}}

define internal ptr @member(i64 %i) {{
  %offset = mul i64 %i, {line}
  %place = add i64 %offset, {members}
  %p = getelementptr i8, ptr @{state}, i64 %place
  ret ptr %p
}}

; Start workers until there are %wanted members; how many there are. They inherit the mask of signals.
define internal i64 @hire(i64 %wanted) {{
entry:
  %workers = getelementptr i8, ptr @{state}, i64 {workers}
  %now = load i64, ptr %workers
  %there = add i64 %now, 1
  %enough = icmp sge i64 %there, %wanted
  br i1 %enough, label %fine, label %start
fine:
  ret i64 %there
start:
  %id = alloca i64
  %blocked = alloca [16 x i64]
  %before = alloca [16 x i64]
  call void @llvm.memset.p0.i64(ptr %blocked, i8 -1, i64 128, i1 false)
  store i64 {blocked}, ptr %blocked
  call i32 @pthread_sigmask(i32 2, ptr %blocked, ptr %before)
  br label %next
next:
  %i = phi i64 [%there, %start], [%more, %started]
  %some = icmp slt i64 %i, %wanted
  br i1 %some, label %create, label %done
create:
  %own = call ptr @member(i64 %i)
  %number = getelementptr i8, ptr %own, i64 8
  store i64 %i, ptr %number
  store atomic i32 0, ptr %own monotonic, align 4
  %error = call i32 @pthread_create(ptr %id, ptr null, ptr @worker, ptr %own)
  %failed = icmp ne i32 %error, 0
  br i1 %failed, label %done, label %started
started:
  %thread = load i64, ptr %id
  call i32 @pthread_detach(i64 %thread)
  %more = add i64 %i, 1
  br label %next
done:
  %found = sub i64 %i, 1
  store i64 %found, ptr %workers
  call i32 @pthread_sigmask(i32 2, ptr %before, ptr null)
  ret i64 %i
}}

define internal ptr @worker(ptr %own) {{
entry:
  %number_p = getelementptr i8, ptr %own, i64 8
  %number = load i64, ptr %number_p
  %task_p = getelementptr i8, ptr @{state}, i64 64
  %argument_p = getelementptr i8, ptr @{state}, i64 72
  %pieces_p = getelementptr i8, ptr @{state}, i64 80
  %gate = getelementptr i8, ptr @{state}, i64 128
  br label %idle
idle:
  %last = phi i32 [0, %entry], [%epoch, %look], [%epoch, %inside]
  call void @wait(ptr %own, i32 %last, i32 {idle})
  %epoch = load atomic i32, ptr %own acquire, align 4
  br label %look
look:
  %now = load atomic i32, ptr %gate seq_cst, align 4
  %is_open = icmp sge i32 %now, {open}
  br i1 %is_open, label %enter, label %idle
enter:
  %more = add i32 %now, 1
  %pair = cmpxchg ptr %gate, i32 %now, i32 %more acq_rel monotonic
  %entered = extractvalue {{i32, i1}} %pair, 1
  br i1 %entered, label %inside, label %look
inside:
  %task = load ptr, ptr %task_p
  %argument = load ptr, ptr %argument_p
  %pieces = load i64, ptr %pieces_p
  call void %task(i64 %number, i64 %pieces, ptr %argument)
  atomicrmw sub ptr %gate, i32 1 seq_cst
  call void @wake(ptr %gate)
  br label %idle
}}

; %argument: turns i64, tickets i32. The first two who come meet; others may have come late for another run.
define void @{barriers}(i64 %member, i64 %pieces, ptr %argument) {{
entry:
  %turns = load i64, ptr %argument
  %tickets = getelementptr i8, ptr %argument, i64 8
  %ticket = atomicrmw add ptr %tickets, i32 1 acq_rel
  %arrived = getelementptr i8, ptr @{state}, i64 192
  %generation = getelementptr i8, ptr @{state}, i64 256
  %early = icmp ult i32 %ticket, 2
  %several = icmp sgt i64 %pieces, 1
  %one_of_two = and i1 %early, %several
  br i1 %one_of_two, label %test, label %done
test:
  %i = phi i64 [0, %entry], [%next, %open], [%next, %spin]
  %next = add i64 %i, 1
  %more = icmp slt i64 %i, %turns
  br i1 %more, label %turn, label %done
turn:
  %g = load atomic i32, ptr %generation acquire, align 4
  %before = atomicrmw add ptr %arrived, i32 1 acq_rel
  %am_last = icmp eq i32 %before, 1
  br i1 %am_last, label %open, label %spin
open:
  store atomic i32 0, ptr %arrived monotonic, align 4
  atomicrmw add ptr %generation, i32 1 seq_cst
  call void @wake(ptr %generation)
  br label %test
spin:
  call void @wait(ptr %generation, i32 %g, i32 {inside})
  br label %test
done:
  ret void
}}
"""
