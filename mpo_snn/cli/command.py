"""What all commands share: exit codes, one-line errors, and the parser of the command line.

Exit codes: 0 done; 1 done, and the answer is no; 2 wrong input or a disk that refuses; 130
interrupted, 143 by SIGTERM. A fault of ours shows its traceback.

    def main(argv: list[str] | None = None) -> int:
        return run_command(lambda: _body(argv), "mpo-export")
"""

from __future__ import annotations

import errno
import os
import re
import sys
from collections.abc import Callable, Iterable, Mapping
from difflib import get_close_matches
from pathlib import Path
from typing import Any, NoReturn

import jsonargparse

from mpo_snn.cli.termination import interrupted_by_sigterm
from mpo_snn.errors import MpoError
from mpo_snn.warning_lines import warnings_in_a_line

OK, ANSWER_IS_NO, WRONG_INPUT, INTERRUPTED, TERMINATED = 0, 1, 2, 130, 143
_REFUSED_BY_THE_DISK = {
    errno.ENOSPC,
    errno.EDQUOT,
    errno.EACCES,
    errno.EPERM,
    errno.EROFS,
    errno.EFBIG,
    errno.EISDIR,
    errno.EIO,
    errno.ELOOP,
    errno.ENAMETOOLONG,
    errno.ENOTDIR,
}
_OUT_OF_MEMORY = re.compile(r"can't allocate memory|out of memory")
_NO_MEMORY = (
    "there is not enough memory for this: use fewer timesteps, smaller batches or fewer channels."
)
_WRONG_TYPE = (
    re.compile(r'Parser key "([^"]+)":\s+Expected an? (.+?)\. Got value: (.*)', re.DOTALL),
    re.compile(r'Parser key "([^"]+)":.*?Subtypes: \[(.*?\])\n.*Given value: (.*)', re.DOTALL),
)
"""Two ways in which jsonargparse says that a value has the wrong type."""
_NOT_FINITE = re.compile(r"[-+]?\.?(inf(inity)?|nan)", re.IGNORECASE)


class UsageError(MpoError):
    """The command line has an unknown option, a missing one, or a value of the wrong type."""


def run_command(body: Callable[[], int], name: str | None = None) -> int:
    """Run a command and turn what goes wrong because of the user's input into one line.

    SIGTERM interrupts it as Ctrl-C does, and warnings of this package are a line each.

    Args:
        body: does the work and returns the exit code.
        name: the command as the user knows it; None takes the program's own name.

    Returns:
        the exit code of the process.
    """
    name = name or Path(sys.argv[0]).name
    with interrupted_by_sigterm() as sigterm, warnings_in_a_line(name):
        code = _told(lambda: sigterm.watched(body), name)
    return TERMINATED if code == INTERRUPTED and sigterm.at is not None else code


def _told(body: Callable[[], int], name: str) -> int:
    """The exit code; what the user is to know is on stderr."""
    try:
        return body()
    except MpoError as error:
        tell_error(name, str(error))
        return WRONG_INPUT
    except KeyboardInterrupt:
        print(f"{name}: interrupted.", file=sys.stderr)
        return INTERRUPTED
    except BrokenPipeError:
        # The reader of our output went away (`| head`); keep Python from saying so at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return OK
    except OSError as error:
        if error.errno not in _REFUSED_BY_THE_DISK:
            raise
        where = f"'{error.filename}'" if error.filename else "a file"
        tell_error(name, f"cannot use {where}: {error.strerror}.")
        return WRONG_INPUT
    except (MemoryError, RuntimeError) as error:
        if not isinstance(error, MemoryError) and not _OUT_OF_MEMORY.search(str(error)):
            raise
        tell_error(name, _NO_MEMORY)
        return WRONG_INPUT
    except SystemExit as stop:
        return stop.code if isinstance(stop.code, int) else OK if stop.code is None else WRONG_INPUT


def tell_error(name: str, message: str) -> None:
    """Print `name: error: message` on stderr, behind what is on stdout already."""
    sys.stdout.flush()
    print(f"{name}: error: {message}", file=sys.stderr)


def together(attempt: str, *checks: Callable[[], Any]) -> list[Any]:
    """What independent checks give, or all that they find at once.

    Args:
        attempt: what is told where more than one check fails; a single failure tells its own.
        checks: each returns something, or raises an `MpoError`.

    Raises:
        UsageError: with the findings of all, where several fail.
        MpoError: that of the one that fails.
    """
    given, errors = [], []
    for check in checks:
        try:
            given.append(check())
        except MpoError as error:
            errors.append(error)
    if len(errors) == 1:
        raise errors[0]
    if errors:
        raise UsageError(attempt, [line for error in errors for line in error.lines])
    return given


def print_names(titles: Mapping[str, str]) -> None:
    """Print names with what each is, in two columns."""
    width = max(map(len, titles))
    for name, title in titles.items():
        print(f"{name:<{width}}  {title}")


class CommandParser(jsonargparse.ArgumentParser):
    """jsonargparse's parser, whose errors are one line and name what was probably meant.

    Args:
        name: the command.
        usage: what follows it, in one line: `RUN --format nir [--output FILE]`.
        description: what it does, first thing in the help.
        example: command lines that a user can copy, shown at the end of the help.

    Raises:
        UsageError: from any of the parsing methods.
    """

    def __init__(self, name: str, usage: str, description: str, example: str) -> None:
        """Set up a parser without the options of the command."""
        super().__init__(
            prog=name,
            usage=f"{name} {usage}",
            description=description,
            epilog="examples:\n" + "\n".join(f"  {line}" for line in example.splitlines()),
            formatter_class=_HelpFormatter,
            allow_abbrev=False,
            print_config=None,
        )
        self._line: list[str] = []

    def error(self, message: str, ex: Exception | None = None) -> NoReturn:
        """Raise instead of printing the usage and leaving the process."""
        raise UsageError(self._in_one_line(message)) from ex

    def parse_args(self, *args: Any, **kwargs: Any) -> Any:
        """Parse the command line; a text that was given must not be empty."""
        given = args[0] if args else kwargs.get("args")
        self._line = sys.argv[1:] if given is None else list(given)
        found = super().parse_args(*args, **kwargs)
        for key, value in vars(found).items():
            if value == "":
                raise UsageError(f"{self._shown(key)} is empty: give a value, or leave it out.")
        return found

    def given(self, args: Any, but: Iterable[str] = ()) -> list[str]:
        """Options that are not as they are by default, as a user writes them.

        Args:
            args: what was parsed.
            but: keys that do not count.
        """
        defaults = vars(self.get_defaults())
        changed = [key for key, value in vars(args).items() if value != defaults.get(key, value)]
        return [self._shown(key) for key in changed if key not in set(but)]

    def _shown(self, key: str) -> str:
        """An argument as it is written: with the dash or dot where it has two spellings."""
        for action in self._actions:
            if action.dest == key:
                spelt = sorted(action.option_strings, key=lambda option: "_" in option)
                return spelt[0] if spelt else key.upper()
        return f"--{key}"

    def _in_one_line(self, message: str) -> str:
        unknown = re.match(r"unrecognized arguments: (.*)", message, re.IGNORECASE | re.DOTALL)
        if unknown:
            return self._unknown(unknown[1].split())
        for pattern in _WRONG_TYPE:
            wrong = pattern.match(message)
            if wrong:
                key, expected, found = wrong.groups()
                key, found = self._as_typed(key, _flat(found))
                allowed = _type_in_words(expected)
                if _NOT_FINITE.fullmatch(found):
                    allowed = allowed.replace("a number", "a finite number")
                return f"{key} is '{found}', allowed is {allowed}."
        return f"{_flat(message).rstrip('.')}."

    def _as_typed(self, key: str, found: str) -> tuple[str, str]:
        """Name and value of a setting as the command line has them; as they are if it has not.

        YAML makes 1000.0 of 1e3 and None of null. A part of what was typed stays a part.
        """
        spelt = {o for action in self._actions if action.dest == key for o in action.option_strings}
        typed = (key, found)
        for word, following in zip(self._line, [*self._line[1:], ""], strict=True):
            option, equals, value = word.partition("=")
            if option in spelt:
                text = _flat(value if equals else following)
                typed = (option, found if found in text else text)
        return typed

    def _unknown(self, words: list[str]) -> str:
        options = [word.partition("=")[0] for word in words if word.startswith("-")]
        if not options:
            return f"unknown argument '{words[0]}'; --help shows what is taken."
        known = [name for name in self._option_string_actions if name.startswith("--")]
        return f"unknown option {options[0]}{nearest(options[0], known)}; --help lists them all."


def nearest(word: str, known: Iterable[str]) -> str:
    """`: did you mean a?` for the known words closest to this one, or nothing.

    A dotted word is close to all that end in its last part: `beta` to `neuron.beta`.
    """
    known = list(known)
    last = word.rpartition(".")[2].lstrip("-")
    close = [other for other in known if other.rpartition(".")[2].lstrip("-") == last]
    close = close or get_close_matches(word, known, n=1, cutoff=0.6)
    return f": did you mean {', '.join(dict.fromkeys(close))}?" if close else ""


class _HelpFormatter(jsonargparse.DefaultHelpFormatter):
    """jsonargparse's formatter, but lines of description and examples stay as they are."""

    def _fill_text(self, text: str, width: int, indent: str) -> str:
        return "\n".join(indent + line for line in text.splitlines())


def _flat(text: str) -> str:
    return " ".join(text.split())


_KINDS = {
    "int": "a whole number",
    "float": "a number",
    "bool": "true or false",
    "str": "text",
    "tuple": "a list such as [1,2]",
    "NoneType": "null",
}


def _type_in_words(annotation: str) -> str:
    """What is allowed, such as `a number, threshold`, out of a type as jsonargparse prints it."""
    annotation = _flat(annotation)
    words: list[str] = []
    for choices, kind in re.findall(r"Literal\[(.*?)\]|<class '(?:\w+\.)*(\w+)'>", annotation):
        choice = [word.strip().strip("'\"") for word in choices.split(",")]
        words += choice if choices else [_KINDS.get(kind, kind)]
    if "Optional" in annotation:
        words.append("null")
    return ", ".join(dict.fromkeys(words)) or _KINDS.get(annotation, annotation)
