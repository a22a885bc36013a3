# syntax=docker/dockerfile:1
# A static binary in an image without a shell. Each platform is built on itself (natively, or emulated by buildx), so that
# no cross compiler is needed.
#
#   docker build --build-arg SOURCE_DATE_EPOCH=$(git log -1 --format=%ct) --build-arg REVISION=$(git rev-parse HEAD) .

ARG RUST_VERSION=1.95

FROM rust:${RUST_VERSION}-alpine AS build
# ring has C and assembly.
RUN apk add --no-cache gcc musl-dev
WORKDIR /src
COPY Cargo.toml Cargo.lock ./
COPY src src
COPY e2e/Cargo.toml e2e/
COPY e2e/src e2e/src
ARG SOURCE_DATE_EPOCH=0
ARG TARGETARCH
# The same source gives the same bytes: no folder of the build, and locked dependencies. The target is named, although it
# is this platform, so that the flags are not for the compiler's own plugins, which cannot be static.
ENV RUSTFLAGS="-C target-feature=+crt-static --remap-path-prefix=/src=src --remap-path-prefix=/usr/local/cargo=cargo" \
    CARGO_INCREMENTAL=0
RUN --mount=type=cache,target=/usr/local/cargo/registry \
    --mount=type=cache,id=target-${TARGETARCH},target=/src/target,sharing=locked \
    target=$(rustc -vV | sed -n 's/^host: //p') && \
    cargo build --release --locked --package tyk-ingress --target "$target" && \
    install -D "target/$target/release/tyk-ingress" /out/tyk-ingress

# Authorities' certificates and a user that is not root; nothing else.
FROM gcr.io/distroless/static-debian12:nonroot
ARG VERSION=dev
ARG REVISION=unknown
ARG CREATED=1970-01-01T00:00:00Z
LABEL org.opencontainers.image.title="tyk-ingress" \
      org.opencontainers.image.description="Ingress controller and operator for the Tyk API gateway" \
      org.opencontainers.image.source="https://github.com/tyk-ingress/tyk-ingress" \
      org.opencontainers.image.documentation="https://github.com/tyk-ingress/tyk-ingress/blob/main/docs/install.md" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}" \
      org.opencontainers.image.created="${CREATED}"
COPY --from=build /out/tyk-ingress /tyk-ingress
COPY LICENSE /LICENSE
# The allocator gives back what is free at once, and keeps no pages for later: docs/performance.md.
ENV MIMALLOC_PURGE_DELAY=0 MIMALLOC_PAGE_FULL_RETAIN=0
USER 65532:65532
EXPOSE 8080 8081
ENTRYPOINT ["/tyk-ingress"]
CMD ["run"]
