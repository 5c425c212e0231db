"""Writes the manifests that come from others: ``python -m tasks.manifests [--check]``.

``configs/kubernetes/base/ray-service.yaml`` is its source written out, with the Serve applications as
``deployments.app`` has them; ``ray-cluster.yaml`` is the whole base in one file; the pods' nginx is that of
``configs/nginx`` without TLS, which the Ingress speaks. ``--check`` writes nothing and exits with 1 if a file
is not what it comes from.
"""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Sequence
from typing import Any

import yaml

from cluster.head import PROJECT_ROOT
from deployments.app import serve_config

KUBERNETES = PROJECT_ROOT / "configs" / "kubernetes"
SOURCE, BASE = KUBERNETES / "source" / "ray-service.yaml", KUBERNETES / "base"
SERVICE, WHOLE = BASE / "ray-service.yaml", PROJECT_ROOT / "ray-cluster.yaml"
NGINX = PROJECT_ROOT / "configs" / "nginx" / "nginx.conf"
POD_NGINX = KUBERNETES / "components" / "traffic" / "nginx.conf"
_WRITTEN = "# Written by `python -m tasks.manifests` from configs/kubernetes: change it there.\n"

#: In place of TLS: the Ingress controller's pods, in the network of the pods, say where a caller comes from.
_POD_LISTENS = """        listen 8080;
        server_name _;
        set_real_ip_from 10.0.0.0/8;
        real_ip_header X-Forwarded-For;
        real_ip_recursive on;"""


class _Plain(yaml.SafeDumper):
    """Writes everything out: not every reader of manifests knows aliases."""

    def ignore_aliases(self, _data: Any) -> bool:
        """Write no alias."""
        return True


def _block(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style="|" if "\n" in text else None)


_Plain.add_representer(str, _block)


def main(arguments: Sequence[str] | None = None) -> int:
    """Write or compare both files."""
    parser = argparse.ArgumentParser(prog="python -m tasks.manifests", description="Writes manifests.")
    parser.add_argument("--check", action="store_true", help="only say which files differ")
    options = parser.parse_args(arguments)
    service = rendered_service()
    stale = [
        (path, text)
        for path, text in (
            (SERVICE, service),
            (WHOLE, rendered_whole(service)),
            (POD_NGINX, rendered_nginx()),
        )
        if not path.exists() or path.read_text(encoding="utf-8") != text
    ]
    for path, text in stale:
        if options.check:
            print(f"{path.name} is not what it comes from")  # noqa: T201 - the answer of a command
        else:
            path.write_text(text, encoding="utf-8")
    return 1 if options.check and stale else 0


def rendered_service() -> str:
    """Return the RayService, written out."""
    service = yaml.safe_load(SOURCE.read_bytes())
    service["spec"]["serveConfigV2"] = yaml.safe_dump(serve_config(), sort_keys=False)
    return _WRITTEN + yaml.dump(service, Dumper=_Plain, sort_keys=False, width=110)


def rendered_whole(service: str) -> str:
    """Return every resource of the base in one file, in the order of its kustomization."""
    names = yaml.safe_load((BASE / "kustomization.yaml").read_bytes())["resources"]
    texts = [service if name == SERVICE.name else (BASE / name).read_text(encoding="utf-8") for name in names]
    return _WRITTEN + "---\n".join(text.removeprefix(_WRITTEN) for text in texts)


def rendered_nginx() -> str:
    """Return what nginx reads in a pod, behind an Ingress that ends TLS and says who calls."""
    text = NGINX.read_text(encoding="utf-8").split("\n", 1)[1]
    text = re.sub(r"        listen .*?(?=\n\n)", _POD_LISTENS, text, count=1, flags=re.DOTALL)
    text = text.replace("server kite:8000", "server kite-serve-svc:8000").replace("/etc/nginx/", "/etc/kite/")
    return _WRITTEN.replace("configs/kubernetes", "configs/nginx") + text


if __name__ == "__main__":
    sys.exit(main())
