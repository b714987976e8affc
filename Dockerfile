# One node: the package in a virtual environment, tc for the impairment, nothing that builds or downloads.
#
# The base image may be any with Python 3.11 or newer on Debian; give another as BASE_IMAGE, with a digest if you like.
ARG BASE_IMAGE=python:3.11-slim-bookworm

FROM ${BASE_IMAGE} AS build
ENV PIP_NO_CACHE_DIR=1 PIP_ROOT_USER_ACTION=ignore
WORKDIR /build
RUN python -m venv --without-pip /opt/venv
COPY requirements/build.txt requirements/runtime.txt requirements/
RUN python -m pip install --require-hashes --only-binary :all: -r requirements/build.txt \
 && python -m pip --python /opt/venv/bin/python install --require-hashes --only-binary :all: -r requirements/runtime.txt
COPY pyproject.toml README.md LICENSE ./
COPY node node
RUN python -m pip wheel --no-deps --no-build-isolation --wheel-dir wheels . \
 && python -m pip --python /opt/venv/bin/python install --no-deps wheels/*.whl

FROM ${BASE_IMAGE}
# iproute2 brings tc; setpriv and find are in every Debian. The standard library is compiled here because the root
# file system is read-only later. No set-user-id file and no pip stay behind.
RUN apt-get update \
 && apt-get install -y --no-install-recommends iproute2 nftables \
 && rm -rf /var/lib/apt/lists/* /var/cache/apt/* /var/log/* \
 && python -m compileall -q -x 'lib2to3|/tests?/' "$(python -c 'import sysconfig; print(sysconfig.get_path("stdlib"))')" \
 && find / -xdev -type d \( -path '*-packages/pip' -o -path '*/python3*/ensurepip' \) -prune -exec rm -rf {} + \
 && rm -f /usr/bin/pip* /usr/local/bin/pip* \
 && find / -xdev -type f -perm /6000 -exec chmod a-s {} + \
 && groupadd --gid 10001 positron \
 && useradd --uid 10001 --gid 10001 --no-create-home --home-dir /nonexistent --shell /usr/sbin/nologin positron \
 && install -d -m 0700 -o 10001 -g 10001 /var/lib/positron \
 && install -d -m 1777 /run/positron
COPY --from=build /opt/venv /opt/venv
COPY docker/entrypoint docker/impair /usr/local/bin/
ENV PATH=/opt/venv/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    POSITRON_CONFIG=/run/positron/node.toml \
    POSITRON_DATA_DIR=/var/lib/positron \
    POSITRON_HEALTH_FILE=/run/positron/health \
    POSITRON_IMPAIRMENT_FILE=/run/positron/impairment.json
# The key of the node: kept when the container is killed and started again.
VOLUME /var/lib/positron
EXPOSE 8888/udp 8889/tcp 9464/tcp
# The node touches the file each second while it is ready; looking at it is cheap, asking over HTTP from a new process
# is not. Even so the engine spends tens of milliseconds on starting each look.
# A machine on which many start at once may need a minute for the last; the first success ends the start period.
# The node has no right to read its impairment; that it is still there is told to it here.
HEALTHCHECK --interval=5s --timeout=5s --start-period=120s --retries=3 \
    CMD [ ! -e "$POSITRON_IMPAIRMENT_FILE" ] || impair refresh; test -n "$(find /run/positron/health -newermt '5 seconds ago' 2>/dev/null)"
ENTRYPOINT ["entrypoint"]
CMD ["positron", "run"]
