# ragwatch as a container: the daemon, or any command: docker run -v "$PWD/watch:/watch" ragwatch scan
FROM python:3.12-slim

# First, so that another version of ragwatch does not fetch it again. The CPU build is enough here, and makes the image
# several GB smaller: --build-arg TORCH_INDEX=... with the index that the selector on pytorch.org names for it.
ARG TORCH="torch==2.13.0"
ARG TORCH_INDEX=""
RUN pip install --no-cache-dir ${TORCH_INDEX:+--index-url "$TORCH_INDEX"} "$TORCH"

WORKDIR /src
COPY pyproject.toml README.md LICENSE ./
COPY ragwatch ragwatch
COPY jobs jobs
COPY fixtures fixtures
RUN pip install --no-cache-dir ".[minilm,office,postgres,parquet]"

# Whoever owns the folder that is mounted at /watch. A volume at /watch/.ragwatch takes over the owner from here.
ARG UID=1000
RUN useradd --uid "$UID" --create-home ragwatch \
 && install --directory --owner=ragwatch --group=ragwatch /watch /watch/.ragwatch

USER ragwatch
WORKDIR /watch
# Python as process 1 ignores signals that it has no handler for; the daemon has one for each that it answers.
STOPSIGNAL SIGTERM
EXPOSE 9464
ENTRYPOINT ["ragwatch"]
CMD ["daemon"]
