# rill serve on the CPU: docs/deploy.md.
FROM node:22-bookworm-slim AS package
WORKDIR /rill
COPY . .
RUN npm ci --no-audit --no-fund && npm pack --pack-destination /

FROM node:22-bookworm-slim
RUN apt-get update -qq && apt-get install -y -qq --no-install-recommends ffmpeg && rm -rf /var/lib/apt/lists/*
WORKDIR /app
COPY --from=package /rill-asr-*.tgz /tmp/
RUN npm init -y >/dev/null && npm install --no-audit --no-fund /tmp/rill-asr-*.tgz ws@8 pino@10 prom-client@15 ioredis@6 && rm /tmp/*.tgz
USER node
EXPOSE 6006 2700
# The model folder is mounted here.
VOLUME /model
HEALTHCHECK CMD ["node", "-e", "fetch('http://127.0.0.1:6006/healthz').then(({ ok }) => process.exit(ok ? 0 : 1))"]
ENTRYPOINT ["node", "node_modules/rill-asr/dist/tools/rill.js", "serve", "/model"]
