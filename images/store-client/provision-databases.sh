#!/bin/sh
# Makes every database of $DATABASES (each NAME:OWNER) and the role that owns it, with the password in PASSWORD_<OWNER>.
# With EXPORTER, also the role by which PostgreSQL is watched; it reads no table. Running it again changes nothing but a
# password that was rotated. Server and administrator come from libpq's own environment.
set -eu
until pg_isready --quiet; do sleep 1; done # the Job has a bound
for pair in $DATABASES; do
  name=${pair%%:*} owner=${pair#*:}
  PASSWORD=$(printenv "PASSWORD_$(printf '%s' "$owner" | tr a-z- A-Z_)")
  export PASSWORD
  psql --quiet --no-psqlrc --set=ON_ERROR_STOP=1 --set=name="$name" --set=owner="$owner" --dbname=postgres << 'SQL'
\getenv password PASSWORD
SELECT format('CREATE ROLE %I LOGIN', :'owner') WHERE NOT EXISTS (SELECT FROM pg_roles WHERE rolname = :'owner') \gexec
ALTER ROLE :"owner" LOGIN PASSWORD :'password';
GRANT :"owner" TO CURRENT_USER;
SELECT format('CREATE DATABASE %I OWNER %I', :'name', :'owner')
  WHERE NOT EXISTS (SELECT FROM pg_database WHERE datname = :'name') \gexec
REVOKE CONNECT, TEMPORARY ON DATABASE :"name" FROM PUBLIC;
SQL
  echo "database $name: there, owned by role $owner"
done
if [ -n "${EXPORTER:-}" ]; then
  PASSWORD=$(printenv "PASSWORD_$(printf '%s' "$EXPORTER" | tr a-z- A-Z_)")
  export PASSWORD
  psql --quiet --no-psqlrc --set=ON_ERROR_STOP=1 --set=exporter="$EXPORTER" --dbname=postgres << 'SQL'
\getenv password PASSWORD
SELECT format('CREATE ROLE %I LOGIN', :'exporter') WHERE NOT EXISTS (SELECT FROM pg_roles WHERE rolname = :'exporter') \gexec
ALTER ROLE :"exporter" LOGIN PASSWORD :'password';
GRANT pg_monitor TO :"exporter";
SQL
  for pair in $DATABASES; do
    psql --quiet --no-psqlrc --set=ON_ERROR_STOP=1 --set=exporter="$EXPORTER" --set=name="${pair%%:*}" --dbname=postgres << 'SQL'
GRANT CONNECT ON DATABASE :"name" TO :"exporter";
SQL
  done
  echo "role $EXPORTER: there, may read statistics"
fi
