#!/usr/bin/env python3
"""Checks licences, bans and sources of all dependencies against deny.toml, without cargo-deny.

What it reads of deny.toml it checks as cargo-deny does; advisories need cargo-deny or cargo-audit, and their database.
"""

import json
import re
import subprocess
import sys
import tomllib

REGISTRY = "registry+https://github.com/rust-lang/crates.io-index"


def allowed(expression, licences):
    """Whether an SPDX expression can be met with these licences; old manifests join them by a slash."""
    words = re.findall(r"[()]|[^\s()/]+|/", expression)
    at = 0

    def word():
        return words[at].upper() if at < len(words) else ""

    def either():
        nonlocal at
        met = both()
        while word() in ("OR", "/"):
            at += 1
            met = both() or met
        return met

    def both():
        nonlocal at
        met = one()
        while word() == "AND":
            at += 1
            met = one() and met
        return met

    def one():
        nonlocal at
        if word() == "(":
            at += 1
            met = either()
            if word() != ")":
                raise ValueError(expression)
            at += 1
            return met
        if word() in ("", ")", "AND", "OR", "/"):
            raise ValueError(expression)
        name = words[at]
        at += 1
        if word() == "WITH":
            name += " WITH " + words[at + 1]
            at += 2
        return name in licences

    met = either()
    if at != len(words):
        raise ValueError(expression)
    return met


def number(version):
    return tuple(int(part) for part in re.match(r"\d+(\.\d+)*", version)[0].split("."))


def banned(package, ban):
    """Bans are of all versions, or of those from one on."""
    if package["name"] != ban["name"]:
        return False
    since = ban.get("version")
    if since is None:
        return True
    if not since.startswith(">="):
        raise ValueError(f"ban of {ban['name']}: version {since}: only >= is known here")
    return number(package["version"]) >= number(since[2:])


def main():
    with open("deny.toml", "rb") as file:
        rules = tomllib.load(file)
    command = ["cargo", "metadata", "--locked", "--format-version", "1"]
    if rules["graph"].get("all-features"):
        command.append("--all-features")
    metadata = json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout)
    licences = set(rules["licenses"]["allow"])
    exceptions = {it["crate"]: set(it["allow"]) for it in rules["licenses"].get("exceptions", [])}
    wrong = []
    for package in metadata["packages"]:
        named = f"{package['name']} {package['version']}"
        own = licences | exceptions.get(package["name"], set())
        licence = package["license"]
        if licence is None:
            wrong.append(f"{named}: no licence in its manifest")
        elif not allowed(licence, own):
            wrong.append(f"{named}: licence {licence}")
        if package["source"] not in (None, REGISTRY):
            wrong.append(f"{named}: from {package['source']}")
        for ban in rules["bans"]["deny"]:
            if banned(package, ban):
                wrong.append(f"{named}: banned: {ban.get('reason', ban.get('version', ''))}")
    for line in wrong:
        print(line, file=sys.stderr)
    print(f"licences, bans, sources: {len(metadata['packages'])} packages, {len(wrong)} against deny.toml")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
