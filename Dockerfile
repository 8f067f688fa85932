# Penstock's images: docker build --target operator|runtime|model .
#
# operator  the operator                          python -m penstock_operator
# runtime   the gateway, and the workers          python -m penstock_runtime.{gateway,worker}
# model     a model server for trials, no model   python -m penstock_dev.model
#
# Each is the Python image, without its installer, and /opt/penstock: a virtual environment of what the image's lock pins,
# then our own packages. They run as a number, on a read-only root, and write nothing. Package index, proxy and
# certificates of the building machine are build arguments of stages that are not in the result.

ARG PYTHON_IMAGE=docker.io/library/python:3.11-slim-bookworm
# Has pip and the same Python. The official image is both; a smaller one may come without pip.
ARG BUILD_IMAGE=${PYTHON_IMAGE}

# ------------------------------------------------------------------------------ build stages

FROM ${BUILD_IMAGE} AS build
WORKDIR /build
COPY tools/image.py tools/

FROM build AS dependencies-operator
ARG PIP_INDEX_URL
ARG PIP_EXTRA_INDEX_URL
ARG PIP_TRUSTED_HOST
ARG PIP_DEFAULT_TIMEOUT
ARG PENSTOCK_BUILD_CERTIFICATES
ARG SOURCE_DATE_EPOCH
COPY requirements-operator.lock ./
RUN ["python3", "tools/image.py", "dependencies", "requirements-operator.lock", "/opt/penstock", "/staging/dependencies"]

FROM build AS dependencies-runtime
ARG PIP_INDEX_URL
ARG PIP_EXTRA_INDEX_URL
ARG PIP_TRUSTED_HOST
ARG PIP_DEFAULT_TIMEOUT
ARG PENSTOCK_BUILD_CERTIFICATES
ARG SOURCE_DATE_EPOCH
COPY requirements-runtime.lock ./
RUN ["python3", "tools/image.py", "dependencies", "requirements-runtime.lock", "/opt/penstock", "/staging/dependencies"]

FROM dependencies-operator AS sources-operator
COPY pyproject.toml LICENSE ./
COPY penstock penstock
COPY store store
COPY operator operator
RUN ["python3", "tools/image.py", "sources", "operator", "/opt/penstock", "/staging/sources"]

FROM dependencies-runtime AS sources-runtime
COPY pyproject.toml LICENSE ./
COPY penstock penstock
COPY store store
COPY runtime runtime
RUN ["python3", "tools/image.py", "sources", "runtime", "/opt/penstock", "/staging/sources"]

FROM dependencies-runtime AS sources-model
COPY dev/penstock_dev/__init__.py dev/penstock_dev/
COPY dev/penstock_dev/signals.py dev/penstock_dev/
COPY dev/penstock_dev/model dev/penstock_dev/model
RUN ["python3", "tools/image.py", "sources", "model", "/opt/penstock", "/staging/sources"]

# ----------------------------------------------------------------------------------- results

FROM ${PYTHON_IMAGE} AS python
RUN rm -rf /usr/local/bin/pip* /usr/local/bin/idle* /usr/local/lib/python3*/ensurepip \
    /usr/local/lib/python3*/idlelib /usr/local/lib/python3*/site-packages/*
ENV PATH=/opt/penstock/bin:/usr/local/bin:/usr/bin:/bin \
    HOME=/nonexistent \
    LOGNAME=penstock \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONNOUSERSITE=1 \
    PYTHONUNBUFFERED=1
WORKDIR /
USER 65532:65532
LABEL org.opencontainers.image.vendor="Penstock" \
    org.opencontainers.image.licenses="Apache-2.0"

FROM python AS operator
COPY --from=dependencies-operator /staging/dependencies /
COPY --from=sources-operator /staging/sources /
EXPOSE 8081
ENTRYPOINT ["python", "-m", "penstock_operator"]
ARG VERSION=0.1.0
ARG REVISION=unknown
LABEL org.opencontainers.image.title="penstock-operator" \
    org.opencontainers.image.description="Rolls out revisions of LLM agents on Kubernetes" \
    org.opencontainers.image.version="${VERSION}" \
    org.opencontainers.image.revision="${REVISION}"

FROM python AS runtime
COPY --from=dependencies-runtime /staging/dependencies /
COPY --from=sources-runtime /staging/sources /
EXPOSE 8080
ENTRYPOINT ["python", "-m", "penstock_runtime.gateway"]
ARG VERSION=0.1.0
ARG REVISION=unknown
LABEL org.opencontainers.image.title="penstock-runtime" \
    org.opencontainers.image.description="Penstock's gateway, and the workers of agents" \
    org.opencontainers.image.version="${VERSION}" \
    org.opencontainers.image.revision="${REVISION}"

FROM runtime AS model
COPY --from=sources-model /staging/sources /
EXPOSE 8765
ENTRYPOINT ["python", "-m", "penstock_dev.model"]
CMD ["--host", "0.0.0.0", "--port", "8765"]
LABEL org.opencontainers.image.title="penstock-model" \
    org.opencontainers.image.description="A model server for trials of Penstock; there is no model in it"
