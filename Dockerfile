# The worker as an image: docker build --tag promptbridge .
#
# It holds one JavaScript file and what Node compiled of it, runs as nobody in particular and writes nowhere, so its file
# system may be read-only. Only STORE=sqlite:PATH needs a place to write: a volume that user 65532 may write to.

# Both are arguments so that a build can pin them by digest; the README says how. The Node that builds is that of
# package.json. Distroless has no tag for a version of Node.
ARG BUILD_IMAGE=node:24.21.0-slim
ARG RUN_IMAGE=gcr.io/distroless/nodejs24-debian12:nonroot

FROM ${BUILD_IMAGE} AS build
WORKDIR /app
COPY package.json package-lock.json .npmrc ./
# Install scripts download what the lock file does not hold: no package needs them here.
RUN npm ci --ignore-scripts
COPY . .
RUN npm run build

# Node finds compiled code by its own version, the kind of processor, the user's id and the file's path, and where one of
# them differs it compiles again and says nothing: so the image that runs the worker compiles it too, as the same user and
# in the same place.
FROM ${RUN_IMAGE} AS warm
WORKDIR /app
COPY --from=build /app/dist/worker.mjs dist/
COPY deploy/warm-compile-cache.mts deploy/
USER 65532:65532
RUN ["/nodejs/bin/node", "deploy/warm-compile-cache.mts", "dist/worker.mjs", "/tmp/compile-cache"]

FROM ${RUN_IMAGE}
WORKDIR /app
COPY LICENSE ./
COPY --from=build /app/dist/worker.mjs /app/dist/worker.cdx.json /app/dist/LICENSES.txt dist/
COPY --from=warm /tmp/compile-cache compile-cache/
# The packages in worker.mjs, as CycloneDX.
LABEL promptbridge.sbom=/app/dist/worker.cdx.json
ENV NODE_ENV=production NODE_COMPILE_CACHE=/app/compile-cache
USER 65532:65532
EXPOSE 8080
ENTRYPOINT ["/nodejs/bin/node"]
CMD ["dist/worker.mjs"]
