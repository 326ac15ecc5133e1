"""What a dense network reaches on the same images: how much of an accuracy the data leave.

    python -m benchmarks.dense --data FOLDER

Network and training are those published for 94.0 % on average on CIFAR-10's original images
after 9.9 epochs (K. Jordan, arXiv:2404.00498, "airbench94"), written anew: a whitening convolution
and three blocks of two, SGD with Nesterov's momentum, a rate that rises and falls, lookahead, label
smoothing 0.2, translations by two pixels, every image mirrored in every second epoch. What falls
short of 94.0 % is what these images cost that network.
"""

from __future__ import annotations

import argparse
import math
import sys
import time
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional

from benchmarks.gpu.images import PARTS, Images, batches, load_split
from benchmarks.measure import Results, add_common_options
from mpo_snn.errors import DataError
from mpo_snn.training.precision import has_bfloat16

WIDTHS, CLASSES = (64, 256, 256), 10
RATE, RATE_OF_BIASES, MOMENTUM, DECAY = 11.5, 64.0, 0.85, 0.0153
UNIT = 1024.0 * (1.0 + 1.0 / (1.0 - MOMENTUM))
"""Samples that rate and decay are told for."""
SMOOTHING, SHIFT, SCALE = 0.2, 2, 1.0 / 9.0
EPOCHS_OF_FIRST_BIAS = 3
LOOKAHEAD_EVERY, LOOKAHEAD = 5, 0.95**5
WHITENED = 5000
"""Images whose patches are whitened."""


def main(argv: list[str] | None = None) -> int:
    """Train the networks that have no result yet, one for each seed, and test them."""
    parser = argparse.ArgumentParser(prog="benchmarks.dense", description=__doc__)
    add_common_options(parser)
    parser.add_argument("--data", type=Path, required=True, help="as for benchmarks.gpu.cifar10")
    parser.add_argument("--epochs", type=float, default=9.9)
    parser.add_argument("--batch", type=int, default=1024)
    parser.add_argument("--limit", type=int, help="take only the first images of each split")
    options = parser.parse_args(argv)
    if not (0.0 < options.epochs < math.inf and options.batch > 0 and options.threads > 0):
        parser.error("--epochs, --batch and --threads are above 0")
    if options.limit is not None and options.limit < 1:
        parser.error(f"--limit is {options.limit}, allowed is 1 or more")
    torch.set_num_threads(options.threads)
    torch.manual_seed(options.seed)
    half = has_bfloat16(options.device)
    results = Results("dense", options)
    try:
        train, test = (
            load_split(options.data, part, options.device, options.limit) for part in PARTS
        )
    except DataError as error:
        parser.error(str(error))
    case = {
        "network": "airbench94",
        "data": train.title,
        "epochs": options.epochs,
        "batch": options.batch,
        "limit": options.limit,
        "seed": options.seed,
        "precision": "bf16" if half else "fp32",
    }
    if not results.is_wanted(case):
        return 0
    if len(train.labels) < options.batch:
        parser.error(f"--batch is {options.batch}, there are {len(train.labels)} training images")
    start = time.monotonic()
    network, accuracy = train_network(train, options.epochs, options.batch, half)
    row = {
        "train_accuracy_of_last_epoch": accuracy,
        "test_accuracy": accuracy_of(network, test, half),
        "seconds": time.monotonic() - start,
    }
    results.add(case, row)
    print(f"  test {100 * row['test_accuracy']:.2f} %, {row['seconds']:.0f} s")
    return 0


def build(images: Tensor) -> nn.Sequential:
    """The network, its first layer made from images (N, 3, 32, 32)."""
    first = nn.Conv2d(3, 24, 2)
    _whiten(first, images)
    layers: list[nn.Module] = [first, nn.GELU()]
    inputs = 24
    for width in WIDTHS:
        layers += [_convolution(inputs, width), nn.MaxPool2d(2), _norm(width), nn.GELU()]
        layers += [_convolution(width, width), _norm(width), nn.GELU()]
        inputs = width
    return nn.Sequential(
        *layers, nn.MaxPool2d(3), nn.Flatten(), nn.Linear(inputs, CLASSES, bias=False)
    )


def _whiten(layer: nn.Conv2d, images: Tensor) -> None:
    """Patches of 2x2 in their principal directions, with both signs; fixed."""
    patches = functional.unfold(images.float(), 2).transpose(1, 2).reshape(-1, 12)
    values, vectors = torch.linalg.eigh(patches.T @ patches / len(patches))
    filters = (vectors / (values + 5e-4).sqrt()).T.reshape(12, 3, 2, 2)
    assert layer.bias is not None, "it is built with one"
    with torch.no_grad():
        layer.weight.copy_(torch.cat((filters, -filters)))
        layer.bias.zero_()
    layer.weight.requires_grad_(False)


def _convolution(inputs: int, outputs: int) -> nn.Conv2d:
    """3x3; the first filters hand their input on at the start."""
    layer = nn.Conv2d(inputs, outputs, 3, padding=1, bias=False)
    with torch.no_grad():
        nn.init.dirac_(layer.weight[:inputs])
    return layer


def _norm(channels: int) -> nn.BatchNorm2d:
    layer = nn.BatchNorm2d(channels, eps=1e-12, momentum=0.4)
    layer.weight.requires_grad_(False)
    return layer


def train_network(
    images: Images, epochs: float, batch: int, half: bool
) -> tuple[nn.Sequential, float]:
    """The trained network, and its accuracy on what it saw in its last epoch."""
    device = images.labels.device
    pixels = torch.cat([x for x, _ in batches(images, 1000)])
    network = build(pixels[:WHITENED]).to(device, memory_format=torch.channels_last)
    steps = len(images.labels) // batch
    total = math.ceil(steps * epochs)
    optimizer = _optimizer(network, batch)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: _rate(step / total))
    slow = [value.clone() for value in _values(network)]
    padded = functional.pad(pixels, [SHIFT] * 4, mode="reflect")
    mirrored = torch.rand(len(pixels), device=device) < 0.5
    padded[mirrored] = padded[mirrored].flip(-1)
    step, right, epoch = 0, torch.zeros((), device=device), 0
    while step < total:
        network[0].bias.requires_grad_(epoch < EPOCHS_OF_FIRST_BIAS)
        network.train()
        shown = _translated(padded if epoch % 2 == 0 else padded.flip(-1))
        order = torch.randperm(len(shown), device=device)
        right.zero_()
        now = min(steps, total - step)
        for part in order[: now * batch].split(batch):
            logits = _logits(network, shown[part], half)
            loss = functional.cross_entropy(
                logits, images.labels[part], label_smoothing=SMOOTHING, reduction="sum"
            )
            optimizer.zero_grad(set_to_none=True)
            loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
            schedule.step()
            right += (logits.argmax(1) == images.labels[part]).sum()
            step += 1
            if step % LOOKAHEAD_EVERY == 0:
                _look_ahead(network, slow, LOOKAHEAD * (step / total) ** 3)
        epoch += 1
        print(f"  epoch {epoch:3}  train {100 * float(right) / (now * batch):.2f} %", flush=True)
    _look_ahead(network, slow, 1.0)
    return network, float(right) / (now * batch)


def _optimizer(network: nn.Sequential, batch: int) -> torch.optim.Optimizer:
    """Rates for the sum over a batch; decay is independent of the rate."""
    norms = {id(m.bias) for m in network if isinstance(m, nn.BatchNorm2d)}
    learnt = [p for p in network.parameters() if p.requires_grad]
    groups = []
    for of_norms, factor in ((True, RATE_OF_BIASES), (False, 1.0)):
        rate = RATE / UNIT * factor
        groups.append(
            {
                "params": [p for p in learnt if (id(p) in norms) is of_norms],
                "lr": rate,
                "weight_decay": DECAY * batch / UNIT / rate,
            }
        )
    return torch.optim.SGD(groups, momentum=MOMENTUM, nesterov=True)


def _rate(done: float) -> float:
    """Share of the highest rate: from 0.2 up to a share of 0.23 of the training, then to 0.07."""
    if done < 0.23:
        return 0.2 + 0.8 * done / 0.23
    return 0.07 + 0.93 * (1.0 - done) / 0.77


@torch.no_grad()
def _look_ahead(network: nn.Sequential, slow: list[Tensor], keep: float) -> None:
    """Move slow weights towards the network's, which go on from there."""
    for kept, value in zip(slow, _values(network), strict=True):
        kept.lerp_(value, 1.0 - keep)
        value.copy_(kept)


def _values(network: nn.Sequential) -> list[Tensor]:
    return [value for value in network.state_dict().values() if value.is_floating_point()]


def _translated(padded: Tensor) -> Tensor:
    """Each image out of its border at random, (N, 3, 32, 32) channels last."""
    n, side = len(padded), padded.shape[-1] - 2 * SHIFT
    corner = torch.randint(2 * SHIFT + 1, (2, n), device=padded.device)
    result = padded.new_empty((n, 3, side, side)).contiguous(memory_format=torch.channels_last)
    for y in range(2 * SHIFT + 1):
        for x in range(2 * SHIFT + 1):
            some = (corner[0] == y) & (corner[1] == x)
            result[some] = padded[some, :, y : y + side, x : x + side]
    return result


def _logits(network: nn.Sequential, x: Tensor, half: bool) -> Tensor:
    with torch.autocast(x.device.type, torch.bfloat16, enabled=half):
        result: Tensor = network(x)
    return result.float() * SCALE


@torch.no_grad()
def accuracy_of(network: nn.Sequential, images: Images, half: bool) -> float:
    """Of logits of each image and its mirror image, as they are and moved by a pixel both ways."""
    network.eval()
    right = 0
    for x, labels in batches(images, 1000):
        border = functional.pad(x, [1] * 4, mode="reflect")
        moved = (border[..., :-2, :-2], border[..., 2:, 2:])
        logits = torch.zeros(len(x), CLASSES, device=x.device)
        for view, weight in ((x, 0.5), *((m, 0.25) for m in moved)):
            for either in (view, view.flip(-1)):
                logits += weight * _logits(network, either, half)
        right += int((logits.argmax(1) == labels).sum())
    return right / len(images.labels)


if __name__ == "__main__":
    sys.exit(main())
