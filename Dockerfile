# ragwatch as a container: the daemon, or any command: docker run ragwatch scan --config /etc/ragwatch/ragwatch.toml
FROM python:3.12-slim

# The CPU build of torch is enough here and several GB smaller than the default one.
ARG TORCH="torch==2.13.0"
ARG TORCH_INDEX=""

WORKDIR /src
COPY pyproject.toml README.md LICENSE ./
COPY ragwatch ragwatch
COPY jobs jobs
COPY fixtures fixtures
RUN pip install --no-cache-dir ${TORCH_INDEX:+--index-url "$TORCH_INDEX"} "$TORCH" \
 && pip install --no-cache-dir ".[minilm,office,postgres,parquet]" \
 && useradd --create-home ragwatch

USER ragwatch
WORKDIR /watch
# Python as process 1 ignores signals that it has no handler for; the daemon has one for each that it answers.
STOPSIGNAL SIGTERM
EXPOSE 9464
ENTRYPOINT ["ragwatch"]
CMD ["daemon"]
