# syntax=docker/dockerfile:1.7
# The andon binary on a bare Debian. Data in /data; settings from ANDON_* and, if you like, `--config FILE`.

FROM rust:1.95.0-slim-bookworm AS build
WORKDIR /src
COPY . .
ENV CARGO_PROFILE_RELEASE_STRIP=debuginfo
RUN --mount=type=cache,target=/usr/local/cargo/registry \
    --mount=type=cache,target=/src/target,sharing=locked \
    cargo build --locked --release --bin andon \
    && install -D target/release/andon /image/usr/local/bin/andon \
    && install -D -m 0644 /etc/ssl/certs/ca-certificates.crt /image/etc/ssl/certs/ca-certificates.crt \
    && install -d -o 10001 -g 10001 /image/data

FROM debian:12.12-slim
LABEL org.opencontainers.image.title="andon" \
      org.opencontainers.image.description="Broadcasts statistical process control alerts" \
      org.opencontainers.image.licenses="Apache-2.0 OR MIT"
COPY --from=build /image /
# Everybody outside the container comes over its network, so loopback would be nobody. Andon therefore wants
# tokens, and refuses to start without (see docs/OPERATING.md).
ENV ANDON_HTTP__LISTEN=0.0.0.0:8080 \
    ANDON_STORE__URL=sqlite:///data/andon.db
# By number, so that an orchestrator can see that it is not root.
USER 10001:10001
WORKDIR /data
VOLUME /data
EXPOSE 8080
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=5s --start-period=60s --start-interval=1s --retries=3 CMD ["andon", "health"]
ENTRYPOINT ["andon"]
CMD ["serve"]
