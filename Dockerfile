# One image for every Airflow service and the sandbox: exactly the versions that the tests ran on.
# Python 3.12.14, of 25 August 2026.
FROM python:3.12-slim-bookworm@sha256:0f5b26b9518d002b6173fd61daad821fa340635ebfec5bba471013f9ca114579

ENV AIRFLOW_HOME=/opt/airflow \
    PYTHONPATH=/opt/airflow/include:/opt/airflow/plugins \
    PYTHONUNBUFFERED=1

# The folders that become volumes must belong to the user, or Docker makes them root's.
RUN useradd --uid 50000 --gid 0 --no-create-home --home-dir /opt/airflow airflow \
    && mkdir -p /opt/airflow/logs /opt/airflow/staging /opt/airflow/sandbox \
    && chown -R airflow:0 /opt/airflow

WORKDIR /opt/airflow
COPY requirements.txt requirements-docker.txt requirements-installer.txt ./
RUN pip install --no-cache-dir --require-hashes -r requirements-installer.txt \
    && uv pip install --system --no-cache --compile-bytecode --require-hashes \
        -r requirements.txt -r requirements-docker.txt

# Code last and read-only: a change of ours rebuilds seconds, not minutes.
COPY include ./include
COPY plugins ./plugins
COPY dags ./dags
RUN python -m compileall -q include plugins

USER airflow
CMD ["airflow", "version"]
