"""What is known of the named image data sets, so that an archive can be held against it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

_CIFAR100 = """apple aquarium_fish baby bear beaver bed bee beetle bicycle bottle bowl boy bridge
bus butterfly camel can castle caterpillar cattle chair chimpanzee clock cloud cockroach couch crab
crocodile cup dinosaur dolphin elephant flatfish forest fox girl hamster house kangaroo keyboard
lamp lawn_mower leopard lion lizard lobster man maple_tree motorcycle mountain mouse mushroom
oak_tree orange orchid otter palm_tree pear pickup_truck pine_tree plain plate poppy porcupine
possum rabbit raccoon ray road rocket rose sea seal shark shrew skunk skyscraper snail snake spider
squirrel streetcar sunflower sweet_pepper table tank telephone television tiger tractor train trout
tulip turtle wardrobe whale willow_tree wolf woman worm"""


@dataclass(frozen=True)
class Known:
    """An image data set of public record.

    Attributes:
        title: what it is called.
        classes: names in the order of the labels.
        shape: (channels, height, width) of every image.
        mean: of each channel of the training split, pixels in [0, 1].
        std: likewise.
        spelt: names that copies of it have for some classes, to those here.
    """

    title: str
    classes: tuple[str, ...]
    shape: tuple[int, int, int]
    mean: tuple[float, ...]
    std: tuple[float, ...]
    spelt: Mapping[str, str] = field(default_factory=dict)

    def spelling(self, names: Sequence[str]) -> tuple[str, ...]:
        """The names of an archive's classes as they are spelt here, where it means the same."""
        same = {_letters(name): name for name in self.classes}
        return tuple(self.spelt.get(name, same.get(_letters(name), name)) for name in names)


def _letters(name: str) -> str:
    """Letters and digits alone: copies differ in blanks, dashes and capitals."""
    return "".join(filter(str.isalnum, name)).casefold()


KNOWN = {
    "mnist": Known("MNIST", tuple("0123456789"), (1, 28, 28), (0.1307,), (0.3081,)),
    "fashion_mnist": Known(
        "Fashion-MNIST",
        (
            "T-shirt/top",
            "Trouser",
            "Pullover",
            "Dress",
            "Coat",
            "Sandal",
            "Shirt",
            "Sneaker",
            "Bag",
            "Ankle boot",
        ),
        (1, 28, 28),
        (0.2860,),
        (0.3530,),
    ),
    "cifar10": Known(
        "CIFAR-10",
        tuple("airplane automobile bird cat deer dog frog horse ship truck".split()),
        (3, 32, 32),
        (0.4914, 0.4822, 0.4465),
        (0.2470, 0.2435, 0.2616),
    ),
    "cifar100": Known(
        "CIFAR-100",
        tuple(_CIFAR100.split()),
        (3, 32, 32),
        (0.5071, 0.4865, 0.4409),
        (0.2673, 0.2564, 0.2762),
        {"cra": "crab"},  # on the Hugging Face Hub
    ),
}

SOURCES = {
    "mnist": "yann.lecun.com/exdb/mnist",
    "fashion_mnist": "github.com/zalandoresearch/fashion-mnist",
    "cifar10": "www.cs.toronto.edu/~kriz/cifar.html",
    "cifar100": "www.cs.toronto.edu/~kriz/cifar.html",
    "imagenet": "image-net.org (an account is needed)",
}
"""Where image data sets can be had."""
