"""The Triton kernels of the LIF scan; `triton_scan` launches them and says what they compute.

Each program has a block of neurons of one sample; what the next timestep wants is asked for before
this one is written, for a memory that answers late. `d`, `m` are divisor and modulus of a
parameter: a neuron at place i of the sample finds its own at i // d % m.
"""

from __future__ import annotations

import math

import triton
import triton.language as tl

from mpo_snn.surrogate import TANH_REACH

RESETS = {("zero", "step"): 0, ("zero", "next"): 0, ("subtract", "step"): 1}
RESETS |= {("subtract", "next"): 2, ("none", "step"): 3, ("none", "next"): 3}
SHAPES = {"sigmoid": 0, "arctan": 1, "piecewise_linear": 2, "triangle": 3, "tanh": 4}
STATISTICS = ("none", "mean", "final")
PI = tl.constexpr(math.pi)
REACH = tl.constexpr(TANH_REACH)
MINUS_TWICE_REACH = tl.constexpr(-2.0 * TANH_REACH)


@triton.jit
def _own(parameter, i, divisor, modulus, inside):  # type: ignore[no-untyped-def]
    return tl.load(parameter + (i // divisor) % modulus, mask=inside, other=1.0)


@triton.jit
def _surrogate(x, slope, SHAPE: tl.constexpr):  # type: ignore[no-untyped-def]
    distance = tl.abs(x * slope)
    if SHAPE == 0:
        tail = tl.exp(-distance)
        s = slope * tail / ((1.0 + tail) * (1.0 + tail))
    elif SHAPE == 1:
        s = slope / (PI * (1.0 + distance * distance))
    elif SHAPE == 2:
        s = tl.where(distance <= 1.0, 0.5 * slope, 0.0)
    elif SHAPE == 3:
        s = slope * tl.maximum(1.0 - distance, 0.0)
    else:
        tail = tl.exp(-2.0 * distance)
        edge = tl.exp(slope * MINUS_TWICE_REACH)
        peak = slope * REACH * (1.0 + edge) / (1.0 - edge)
        bell = 4.0 * tail / ((1.0 + tail) * (1.0 + tail))
        s = tl.where(tl.abs(x) <= REACH, peak * bell, 0.0)
    return s


@triton.jit
def _driven(x, beta, DECAY: tl.constexpr):  # type: ignore[no-untyped-def]
    """What a current, or a gradient by the membrane, is multiplied to."""
    if DECAY:
        x = (1.0 - beta) * x
    return x


@triton.jit
def _advance(drive, state, beta, threshold, RESET: tl.constexpr):  # type: ignore[no-untyped-def]
    """Membrane, spikes and the state that is left, of the dtype of the state."""
    v = beta * state + drive
    if RESET == 2:
        v = v - (state > threshold).to(state.dtype) * threshold
    fired = (v > threshold).to(state.dtype)
    if RESET == 0:
        state = (1.0 - fired) * v
    elif RESET == 1:
        state = v - fired * threshold
    else:
        state = v
    return v, fired, state


@triton.jit
def forward_kernel(  # type: ignore[no-untyped-def]
    current, spikes, membrane, us, sums,
    betas, thresholds, slopes, scales, supports,
    d0, m0, d1, m1, d2, m2, d3, m3, d4, m4,
    features, size, stride, samples, programs,
    STEPS: tl.constexpr, RESET: tl.constexpr, DECAY: tl.constexpr, MEMBRANE: tl.constexpr,
    STATISTIC: tl.constexpr, POWER: tl.constexpr, SHAPE: tl.constexpr,
    SAMPLES: tl.constexpr, BLOCK: tl.constexpr,
):  # fmt: skip
    """Spikes, and membrane where it is kept, of all timesteps, U, and of it what is in `sums`.

    A program has the same neurons of several samples. Its rows in `sums`: covered, fired, power,
    count, mean and squared deviations of its U.
    """
    i = tl.program_id(1) * BLOCK + tl.arange(0, BLOCK)
    known = i < features
    beta = _own(betas, i, d0, m0, known)
    threshold = _own(thresholds, i, d1, m1, known)
    dtype = membrane.dtype.element_ty
    first = tl.program_id(0) * SAMPLES
    count = tl.zeros((BLOCK,), tl.float32)
    covered = tl.zeros((BLOCK,), tl.float32)
    power = tl.zeros((BLOCK,), tl.float32)
    mean = tl.zeros((BLOCK,), dtype)
    deviations = tl.zeros((BLOCK,), dtype)
    if STATISTIC != 0:
        slope = _own(slopes, i, d2, m2, known)
        support = _own(supports, i, d4, m4, known)
    for r in range(SAMPLES):
        there = tl.minimum(tl.maximum(samples - first - r, 0), 1)  # whether there is a sample
        inside = i < features * there
        place = (first + r).to(tl.int64) * features + i
        state = tl.zeros((BLOCK,), dtype)
        total = tl.zeros((BLOCK,), dtype)
        v = state
        read, at = place, place
        x = tl.load(current + read, mask=inside, other=0.0)
        for t in range(STEPS):
            read += stride
            following = tl.load(current + read, mask=inside & (t < STEPS - 1), other=0.0)
            drive = _driven(x.to(dtype), beta, DECAY)
            v, fired, state = _advance(drive, state, beta, threshold, RESET)
            x = following
            tl.store(spikes + at, fired.to(spikes.dtype.element_ty), mask=inside)
            if MEMBRANE:
                tl.store(membrane + at, v, mask=inside)
            at += size
            if STATISTIC != 0:
                count += tl.where(inside, fired.to(tl.float32), 0.0)
                distance = v - threshold
                covered += (inside & (tl.abs(distance) < support)).to(tl.float32)
                total += v
                if POWER:
                    s = _surrogate(distance, slope, SHAPE).to(tl.float32)
                    power += tl.where(inside, s * s, 0.0)
        if STATISTIC != 0:
            u = v
            if STATISTIC == 1:
                u = total / STEPS
            tl.store(us + place, u, mask=inside)
            delta = tl.where(inside, u - mean, 0.0)
            mean += delta / (r + 1)
            deviations += delta * (u - mean)
    if STATISTIC != 0:
        whole = tl.minimum(samples - first, SAMPLES)
        width = tl.minimum(features - tl.program_id(1) * BLOCK, BLOCK)
        # In float64, so that what is equal everywhere is its own mean.
        center = (tl.sum(tl.where(known, mean, 0.0).to(tl.float64)) / width).to(dtype)
        away = tl.where(known, mean - center, 0.0)
        row = sums + tl.program_id(0) * tl.num_programs(1) + tl.program_id(1)
        tl.store(row, tl.sum(covered))
        tl.store(row + programs, tl.sum(count))
        tl.store(row + 2 * programs, tl.sum(power))
        tl.store(row + 3 * programs, whole * width)
        tl.store(row + 4 * programs, center)
        tl.store(row + 5 * programs, tl.sum(deviations) + whole * tl.sum(away * away))


@triton.jit
def _handed_on(v, threshold, RESET: tl.constexpr):  # type: ignore[no-untyped-def]
    """What beta is multiplied by in the next timestep."""
    if RESET == 0:
        v = tl.where(v > threshold, 0.0, v)
    elif RESET == 1:
        v = tl.where(v > threshold, v - threshold, v)
    return v


@triton.jit
def backward_kernel(  # type: ignore[no-untyped-def]
    current, membrane, grad_spikes, grad_membrane, us, grad_current, grad_beta, grad_threshold,
    betas, thresholds, slopes, scales, means, by_means, by_m2s,
    d0, m0, d1, m1, d2, m2, d3, m3, d4, m4,
    features, size, stride, count,
    STEPS: tl.constexpr, RESET: tl.constexpr, DECAY: tl.constexpr, KEPT: tl.constexpr,
    SPIKES: tl.constexpr, MEMBRANE: tl.constexpr, STATISTIC: tl.constexpr, CONSTANT: tl.constexpr,
    BETA: tl.constexpr, THRESHOLD: tl.constexpr, SHAPE: tl.constexpr, BLOCK: tl.constexpr,
):  # fmt: skip
    """Gradients of current, beta and threshold from those of spikes, membrane and moments of U.

    A group of moments is of `count` values of U. The membrane is read where it was kept, else
    computed anew and held in registers.
    """
    i = tl.program_id(1) * BLOCK + tl.arange(0, BLOCK)
    inside = i < features
    place = tl.program_id(0).to(tl.int64) * features + i
    beta = _own(betas, i, d0, m0, inside)
    threshold = _own(thresholds, i, d1, m1, inside)
    slope = _own(slopes, i, d2, m2, inside)
    scale = _own(scales, i, d3, m3, inside)
    dtype = membrane.dtype.element_ty
    answer = grad_current.dtype.element_ty
    grad = tl.zeros((BLOCK,), dtype)
    total = tl.zeros((BLOCK,), dtype)
    from_u = tl.zeros((BLOCK,), dtype)
    by_beta = tl.zeros((BLOCK,), dtype)
    by_threshold = tl.zeros((BLOCK,), dtype)
    if STATISTIC != 0:
        u = tl.load(us + place, mask=inside, other=0.0)
        away = u - _own(means, i, d4, m4, inside)
        from_u = _own(by_means, i, d4, m4, inside) / count
        from_u += 2.0 * _own(by_m2s, i, d4, m4, inside) * away
        if STATISTIC == 1:
            from_u = from_u / STEPS
    # Products with a timestep may be more than 32 bits hold.
    size, stride = tl.cast(size, tl.int64), tl.cast(stride, tl.int64)
    at = place + (STEPS - 1) * size
    from_spike = grad
    if SPIKES:
        from_spike = tl.load(grad_spikes + at, mask=inside, other=0.0)
    history = ()
    if not KEPT:
        state = tl.zeros((BLOCK,), dtype)
        for t in tl.static_range(STEPS):
            x = tl.load(current + place + t * stride, mask=inside, other=0.0).to(dtype)
            v, _, state = _advance(_driven(x, beta, DECAY), state, beta, threshold, RESET)
            history = history + (v,)  # type: ignore[assignment]  # noqa: RUF005
    for t in tl.static_range(STEPS - 1, -1, -1):
        if KEPT:
            v = tl.load(membrane + at, mask=inside, other=0.0)
        else:
            v = history[t]
        following = from_spike
        if SPIKES and t > 0:
            following = tl.load(grad_spikes + at - size, mask=inside, other=0.0)
        later = beta * grad
        if BETA:
            by_beta += grad * _handed_on(v, threshold, RESET)
        if THRESHOLD and RESET == 1:
            by_threshold -= tl.where(v > threshold, later, 0.0)
        if THRESHOLD and RESET == 2:
            by_threshold -= tl.where(v > threshold, grad, 0.0)
        grad = later
        if RESET == 0:
            grad = tl.where(v > threshold, 0.0, grad)
        if SPIKES:
            pulled = from_spike.to(dtype) * _surrogate(v - threshold, slope, SHAPE) * scale
            grad += pulled
            if THRESHOLD:
                by_threshold -= pulled
        if MEMBRANE:
            grad += tl.load(grad_membrane + at, mask=inside, other=0.0).to(dtype)
        grad += from_u
        from_spike = following
        if STATISTIC == 2:
            from_u = tl.zeros((BLOCK,), dtype)
        if BETA and DECAY:
            by_beta -= grad * tl.load(current + place + t * stride, mask=inside, other=0.0).to(
                dtype
            )
        drive = _driven(grad, beta, DECAY)
        if CONSTANT:
            total += drive
        else:
            tl.store(grad_current + at, drive.to(answer), mask=inside)
        at -= size
    if CONSTANT:
        tl.store(grad_current + place, total.to(answer), mask=inside)
    if BETA:
        tl.store(grad_beta + place, by_beta, mask=inside)
    if THRESHOLD:
        tl.store(grad_threshold + place, by_threshold, mask=inside)
