# syntax=docker/dockerfile:1

FROM rust:1.95-slim-bookworm AS build
WORKDIR /src
COPY . .
# The caches outlive the layer; the program has to be copied out of them.
RUN --mount=type=cache,target=/usr/local/cargo/registry \
    --mount=type=cache,target=/src/target \
    cargo build --release --locked --package hearback --bin hearback \
    && cp target/release/hearback /usr/local/bin/hearback

FROM debian:bookworm-slim
# Certificate authorities, for `hearback ask` against an https hub and for what the hub itself calls.
RUN apt-get update \
    && apt-get install -y --no-install-recommends ca-certificates \
    && rm -rf /var/lib/apt/lists/* \
    && useradd --system --uid 10001 --no-create-home --shell /usr/sbin/nologin hearback \
    && install -d -o hearback -g hearback -m 0700 /data
COPY --from=build /usr/local/bin/hearback /usr/local/bin/hearback

USER hearback
# The default paths are below ./data, which is /data from here: the database, and the secret when none is given.
WORKDIR /
VOLUME /data
ENV HEARBACK_BIND=0.0.0.0:8000
EXPOSE 8000

# The program has no command that asks a running hub for its health, and check-config does not look at one; bash can.
# Liveness only: a hub that is stopping is not to be restarted.
HEALTHCHECK --interval=10s --timeout=3s --start-period=10s --retries=3 CMD ["bash", "-c", \
    "exec 3<>/dev/tcp/127.0.0.1/${HEARBACK_BIND##*:} && printf 'GET %s/livez HTTP/1.0\\r\\nHost: localhost\\r\\n\\r\\n' \"${PATH_PREFIX%/}\" >&3 && head -n 1 <&3 | grep -q ' 200'"]

# SIGTERM stops it: parked polls answer, sockets close with a reason, and it exits within 10 s.
STOPSIGNAL SIGTERM
ENTRYPOINT ["hearback"]
