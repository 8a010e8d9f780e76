# The operator's image. Any Debian with Python 3.11 or later is a fit base, so python3 is called by that name only.
# Where packages come from is up to the build's own pip settings: none are written here.
ARG PYTHON_IMAGE=python:3.13-slim

FROM ${PYTHON_IMAGE} AS build
ENV PIP_NO_CACHE_DIR=1 \
    PIP_DISABLE_PIP_VERSION_CHECK=1 \
    PIP_ROOT_USER_ACTION=ignore
# python:*-slim brings venv; a plain Debian has it in a package.
RUN python3 -c 'import ensurepip' 2>/dev/null \
    || (apt-get update && apt-get install --yes --no-install-recommends python3-venv)
WORKDIR /src

# Dependencies first: this layer is reused until the lock changes.
COPY requirements.lock ./
RUN python3 -m venv /opt/cijob \
    && /opt/cijob/bin/pip install --no-compile --require-hashes --only-binary :all: -r requirements.lock
COPY requirements-build.lock ./
RUN python3 -m venv /opt/build \
    && /opt/build/bin/pip install --require-hashes --only-binary :all: -r requirements-build.lock

COPY pyproject.toml LICENSE ./
COPY operator operator
# Bytecode is made now, for a fast start from a file system that cannot be written; it is never checked against its
# source, which cannot change. pip has done its work and would only be one more thing to keep patched.
RUN /opt/build/bin/pip wheel --no-deps --no-build-isolation --wheel-dir /tmp/wheel . \
    && /opt/cijob/bin/pip install --no-compile --no-deps --no-index /tmp/wheel/*.whl \
    && /opt/cijob/bin/pip uninstall --yes pip \
    && python3 -m compileall -q --invalidation-mode unchecked-hash /opt/cijob/lib

FROM ${PYTHON_IMAGE}
LABEL org.opencontainers.image.title="cijob operator" \
      org.opencontainers.image.licenses="Apache-2.0"
COPY --from=build /opt/cijob /opt/cijob
ENV PATH=/opt/cijob/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1
# A number, so that Kubernetes sees that it is not root.
USER 65532:65532
EXPOSE 8080
ENTRYPOINT ["cijob-operator"]
