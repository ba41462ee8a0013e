# One image for web, worker and scheduler; it runs as a non-root user on a read-only file system.
FROM python:3.11-slim-bookworm AS build
WORKDIR /srv/baton
COPY requirements/run.lock requirements/run.lock
RUN python -m venv .venv && .venv/bin/pip install --no-cache-dir --require-hashes -r requirements/run.lock
COPY . .
RUN BATON_HOME=/tmp/build BATON_SECRET_KEY=only-used-while-the-image-is-built-0000 \
    .venv/bin/python manage.py collectstatic --noinput --verbosity 0 && rm -rf /tmp/build

FROM python:3.11-slim-bookworm
RUN useradd --system --uid 10001 --home-dir /var/lib/baton --create-home baton
COPY --from=build --chown=root:root /srv/baton /srv/baton
WORKDIR /srv/baton
ENV PATH=/srv/baton/.venv/bin:$PATH PYTHONDONTWRITEBYTECODE=1 PYTHONUNBUFFERED=1 \
    DJANGO_SETTINGS_MODULE=orchestrator.settings BATON_HOME=/var/lib/baton BATON_STATIC_COLLECTED=1
USER baton
VOLUME /var/lib/baton
EXPOSE 8000
CMD ["uvicorn", "orchestrator.asgi:application", "--host", "0.0.0.0", "--port", "8000", "--ws", "websockets-sansio"]
