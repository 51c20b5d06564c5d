# An image of the muster agent: a static binary, zones and certificates, and a
# user without rights. Build it from the root of the repository:
#
#     docker build --tag muster .
#     docker run --volume muster:/var/lib/muster muster agent --dir /var/lib/muster --metrics 127.0.0.1:9464

FROM --platform=$BUILDPLATFORM golang:1.26.8-bookworm AS build
WORKDIR /src
COPY go.mod go.sum ./
RUN go mod download
COPY . .
ARG TARGETOS=linux TARGETARCH=amd64
RUN CGO_ENABLED=0 GOOS=$TARGETOS GOARCH=$TARGETARCH go build -trimpath -ldflags='-s -w' -o /out/muster ./cmd/muster \
 && mkdir -p /out/state

FROM gcr.io/distroless/static-debian12:nonroot
COPY --from=build /out/muster /muster
COPY --from=build /src/LICENSE /src/NOTICE /
# A new volume has the owner of the directory that it is mounted on.
COPY --from=build --chown=65532:65532 --chmod=0700 /out/state /var/lib/muster
USER 65532:65532
VOLUME /var/lib/muster
# Gossip, which is UDP as well, what else nodes say to each other, and metrics.
EXPOSE 7946/tcp 7946/udp 7947/tcp 9464/tcp
HEALTHCHECK --interval=10s --timeout=4s --start-period=30s CMD ["/muster", "ready", "127.0.0.1:9464"]
STOPSIGNAL SIGTERM
ENTRYPOINT ["/muster"]
CMD ["agent", "--dir", "/var/lib/muster", "--metrics", "127.0.0.1:9464"]
