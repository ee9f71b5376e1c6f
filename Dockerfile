# Two images, at exactly the versions that the tests ran on: `sandbox`, the stand-in for Dynamics, and
# `production` for every Airflow service, which a build without a target makes.
# Python 3.12.14, of 25 August 2026.
FROM python:3.12-slim-bookworm@sha256:0f5b26b9518d002b6173fd61daad821fa340635ebfec5bba471013f9ca114579 AS base

ENV AIRFLOW_HOME=/opt/airflow \
    PYTHONPATH=/opt/airflow/include:/opt/airflow/plugins \
    PYTHONUNBUFFERED=1

# The folders that become volumes must belong to the user, or Docker makes them root's.
RUN useradd --uid 50000 --gid 0 --no-create-home --home-dir /opt/airflow airflow \
    && mkdir -p /opt/airflow/logs /opt/airflow/staging /opt/airflow/sandbox \
    && chown -R airflow:0 /opt/airflow

WORKDIR /opt/airflow
COPY pyproject.toml requirements.txt ./
RUN sed -n '/^uv==/,/# via/p' requirements.txt > installer.txt \
    && pip install --no-cache-dir --require-hashes -r installer.txt

FROM base AS sandbox
RUN uv pip install --system --no-cache --compile-bytecode --require-hashes \
        --group demo --constraint requirements.txt
COPY include/dynamics_sandbox ./include/dynamics_sandbox
RUN python -m compileall -q include
USER airflow
CMD ["python", "-m", "dynamics_sandbox"]

FROM base AS production
RUN uv pip install --system --no-cache --compile-bytecode --require-hashes \
        --group production --constraint requirements.txt
# Code last and read-only: a change of ours rebuilds seconds, not minutes.
COPY include/opportunity_sync ./include/opportunity_sync
COPY plugins ./plugins
COPY dags ./dags
RUN python -m compileall -q include plugins
USER airflow
CMD ["airflow", "version"]
