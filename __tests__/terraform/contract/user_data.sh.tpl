#!/bin/bash
cd /opt
wget -qO- https://downloads.example.com/flyway-commandline-${flyway_version}-linux-x64.tar.gz | tar xz
ln -s /opt/flyway-${flyway_version}/flyway /usr/local/bin/flyway
cat >/opt/flyway-${flyway_version}/conf/${flyway_conf} <<CONF
flyway.url=${url}
flyway.user=${user}
flyway.password=${password}
flyway.baselineOnMigrate=true
CONF
