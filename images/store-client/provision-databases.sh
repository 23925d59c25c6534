#!/bin/sh
# Makes every database of $DATABASES, and a role of its name that owns it, with the password in PASSWORD_<NAME>. Running it
# again changes nothing but a password that was rotated. Server and administrator come from libpq's own environment.
set -eu
until pg_isready --quiet; do sleep 1; done # the Job has a bound
for name in $DATABASES; do
  PASSWORD=$(printenv "PASSWORD_$(printf '%s' "$name" | tr a-z- A-Z_)")
  export PASSWORD
  psql --quiet --no-psqlrc --set=ON_ERROR_STOP=1 --set=name="$name" --dbname=postgres << 'SQL'
\getenv password PASSWORD
SELECT format('CREATE ROLE %I LOGIN', :'name') WHERE NOT EXISTS (SELECT FROM pg_roles WHERE rolname = :'name') \gexec
ALTER ROLE :"name" LOGIN PASSWORD :'password';
GRANT :"name" TO CURRENT_USER;
SELECT format('CREATE DATABASE %I OWNER %I', :'name', :'name')
  WHERE NOT EXISTS (SELECT FROM pg_database WHERE datname = :'name') \gexec
REVOKE CONNECT, TEMPORARY ON DATABASE :"name" FROM PUBLIC;
SQL
  echo "database $name: there, owned by role $name"
done
