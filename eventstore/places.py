"""Places for checkpoints outside the database, declared as one word each.

file:PATH                 a file that only grows, such as one on another machine
git:DIR                   a commit for each, pushed if the repository has a remote
mailto:ADDRESS            a mail for each, through BACKSTORY_SMTP_URL
https://… or http://…     a POST of each
rfc3161:URL               a time stamp for each, kept in DIR/timestamps.jsonl
"""

from __future__ import annotations

import os
import smtplib
import ssl
import subprocess
from email.message import EmailMessage
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

import httpx

from eventstore.anchor import FILE, FileAnchor, notes, notes_in
from eventstore.stamps import Stamps

if TYPE_CHECKING:
    from eventstore.delivery import Place
    from eventstore.tree import Checkpoint

SECONDS = 60.0
MAIL_SECONDS = 86_400.0
TIMEOUT_SECONDS = 20.0
SMTP_URL, SMTP_FROM = "BACKSTORY_SMTP_URL", "BACKSTORY_SMTP_FROM"
COMMITTER = {
    "GIT_AUTHOR_NAME": "Backstory",
    "GIT_AUTHOR_EMAIL": "backstory@localhost",
    "GIT_COMMITTER_NAME": "Backstory",
    "GIT_COMMITTER_EMAIL": "backstory@localhost",
}
"""Who commits, unless the environment says otherwise."""

KINDS = "file:PATH, git:DIR, mailto:ADDRESS, https://… or rfc3161:URL"


class AnchorUnknown(ValueError):
    """There is no such place for checkpoints; the message says which there are."""


class NotKept(Exception):
    """The place did not take the checkpoint."""


class InFile:
    """A line in a file."""

    kind, seconds = "file", SECONDS

    def __init__(self, path: Path) -> None:
        self.path = path

    def keep(self, checkpoint: Checkpoint) -> None:
        """See `Place`."""
        anchor = FileAnchor(self.path, seconds=0)
        anchor.offer(checkpoint)


class InGit:
    """A commit in a repository, which is pushed if it has a remote."""

    kind, seconds = "git", SECONDS

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def keep(self, checkpoint: Checkpoint) -> None:
        """See `Place`; one that was committed and not pushed is pushed with the next."""
        self._git("rev-parse", "--git-dir")
        FileAnchor(self.folder / FILE, seconds=0).offer(checkpoint)
        self._git("add", "--", FILE)
        self._git("commit", "--quiet", "--message", f"{checkpoint.size} events sealed", "--", FILE)
        if remote := self._git("remote").split():
            self._git("push", "--quiet", remote[0], "HEAD")

    def notes(self) -> list[str]:
        """What was committed."""
        try:
            return [*notes_in(self._git("show", f"HEAD:./{FILE}").encode(), FILE)]
        except NotKept:
            return []

    def _git(self, *arguments: str) -> str:
        done = subprocess.run(  # noqa: S603 - the arguments are ours
            ["git", "-C", str(self.folder), *arguments],  # noqa: S607 - whichever git there is
            env=COMMITTER | dict(os.environ) | {"GIT_TERMINAL_PROMPT": "0"},
            capture_output=True,
            text=True,
            timeout=TIMEOUT_SECONDS,
            check=False,
        )
        if done.returncode:
            raise NotKept(f"git {arguments[0]}: {done.stderr.strip()}")
        return done.stdout


class ByMail:
    """A mail whose text is the checkpoint."""

    kind, seconds = "mailto", MAIL_SECONDS

    def __init__(self, address: str, server: str) -> None:
        self.address = address
        self.server = urlsplit(server)

    def keep(self, checkpoint: Checkpoint) -> None:
        """See `Place`."""
        mail = EmailMessage()
        mail["Subject"] = f"Checkpoint of {checkpoint.origin}: {checkpoint.size} events"
        mail["To"], mail["From"] = self.address, os.environ.get(SMTP_FROM, self.address)
        mail.set_content(checkpoint.note)
        host, port = self.server.hostname or "localhost", self.server.port or 0
        context = ssl.create_default_context()
        with (
            smtplib.SMTP_SSL(host, port, timeout=TIMEOUT_SECONDS, context=context)
            if self.server.scheme == "smtps"
            else smtplib.SMTP(host, port, timeout=TIMEOUT_SECONDS)
        ) as smtp:
            smtp.ehlo()
            if self.server.scheme == "smtp" and smtp.has_extn("starttls"):
                smtp.starttls(context=context)
            if self.server.username:
                smtp.login(unquote(self.server.username), unquote(self.server.password or ""))
            smtp.send_message(mail)


class ByPost:
    """A POST to a web hook."""

    seconds = SECONDS

    def __init__(self, url: str) -> None:
        self.url, self.kind = url, urlsplit(url).scheme

    def keep(self, checkpoint: Checkpoint) -> None:
        """See `Place`."""
        reply = httpx.post(
            self.url,
            content=checkpoint.note.encode(),
            headers={"Content-Type": "text/plain; charset=utf-8"},
            timeout=TIMEOUT_SECONDS,
        )
        if not reply.is_success:
            raise NotKept(f"the web hook answered {reply.status_code}")


def place(declared: str, directory: Path) -> Place:
    """The place that a word names; raises `AnchorUnknown`."""
    kind, _, rest = declared.partition(":")
    if rest:
        match kind:
            case "file":
                return InFile(Path(rest))
            case "git":
                return InGit(Path(rest))
            case "mailto":
                return _by_mail(rest)
            case "http" | "https" if urlsplit(declared).hostname:
                return ByPost(declared)
            case "rfc3161" if urlsplit(rest).hostname:
                return Stamps(rest, directory)
    raise AnchorUnknown(f"{kind}:… is no place for checkpoints; there are {KINDS}")


def _by_mail(address: str) -> Place:
    server = os.environ.get(SMTP_URL, "")
    if urlsplit(server).scheme not in {"smtp", "smtps"} or "@" not in address:
        raise AnchorUnknown(f"mailto:ADDRESS needs {SMTP_URL}=smtp://[USER:PASSWORD@]HOST:PORT")
    return ByMail(address, server)


def notes_at(declared: str, directory: Path) -> list[str]:
    """The checkpoints that are kept at a place which can be read from here."""
    match place(declared, directory) if not declared.startswith("mailto:") else None:
        case InFile(path=path):
            return [*notes(path)] if path.exists() else []
        case InGit() as repository:
            return repository.notes()
        case Stamps() as stamps:
            return [stamp.note for stamp in stamps.read()]
        case _:
            raise AnchorUnknown(
                "what was mailed or posted is held by whoever got it: save it, and give it with "
                "--checkpoint"
            )
