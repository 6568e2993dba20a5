# The worker's image: Node and dbt as tools/bootstrap.mjs sets them up, and the source code, which Node runs as it is.
# No credential comes in here: a container gets them when it starts (docs/deployment.md).
# Whoever starts it gives it an init as pid 1 (compose: `init: true`, docker run: --init), because Node reaps nobody else's children.

FROM node:24.21.0-bookworm-slim AS base
# git: for dbt packages that are git repositories.
RUN apt-get update \
 && apt-get install --yes --no-install-recommends ca-certificates git python3 python3-venv \
 && rm -rf /var/lib/apt/lists/*
# Where it stays: a virtual environment cannot move.
WORKDIR /opt/millrace

FROM base AS setup
COPY package.json package-lock.json .npmrc ./
COPY tools/bootstrap.mjs tools/
COPY tools/setup tools/setup
COPY tools/python tools/python
# WITH=bigquery: dbt for BigQuery, too; half a gigabyte more.
ARG WITH=
# Node comes with the image, so that of the lock file goes again.
RUN NPM_CONFIG_OMIT=dev node tools/bootstrap.mjs --without temporal ${WITH:+--with "$WITH"} \
 && rm -rf node_modules/node-linux-* node_modules/.bin/node

FROM base
COPY --from=setup /opt/millrace ./
COPY bin bin
COPY src src
COPY docker/worker-health.ts docker/
RUN ln -s /opt/millrace/bin/millrace.mjs /usr/local/bin/millrace \
 && install --directory --owner=node --group=node /workspace
# What an empty volume at /workspace begins with.
COPY --chown=node:node pipelines /workspace/pipelines
COPY --chown=node:node dbt /workspace/dbt
COPY --chown=node:node data /workspace/data

ENV MILLRACE_WORKSPACE=/workspace
VOLUME /workspace
WORKDIR /workspace
USER node
STOPSIGNAL SIGTERM
# Not whether the process is there, but whether the Temporal server sees it ask for work.
HEALTHCHECK --interval=60s --timeout=20s --start-period=60s --retries=3 \
  CMD ["node", "/opt/millrace/docker/worker-health.ts"]
CMD ["millrace", "worker"]
