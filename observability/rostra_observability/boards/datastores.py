"""The databases and Redis: as Rostra sees them, and as their own exporters tell."""

from rostra_observability.panel import PER_SECOND, Board, Panel, Query, Row, quantile, rate

_CONNECTIONS = "rostra_user_database_connections{@} or rostra_history_database_connections{@}"
_LIMITS = "rostra_user_database_connections_limit{@} or rostra_history_database_connections_limit{@}"
_MYSQL = "prometheus-mysqld-exporter"
_REDIS = "redis_exporter"
_MONGODB = "mongodb_exporter"

DATASTORES = Board(
    name="datastores",
    title="Datastores",
    description="MySQL, DocumentDB and Redis: as Rostra sees them, and as their exporters tell.",
    rows=[
        Row(
            "Redis, as Rostra sees it",
            [
                Panel(
                    title="Time of commands, 95 %",
                    description="The wait for a connection included. A request needs two.",
                    queries=[
                        Query(quantile(0.95, "rostra_redis_command_seconds", by="job, client"), "{{job}} {{client}}")
                    ],
                    unit="s",
                    red_above=0.1,
                    alerts=["RostraRedisSlow"],
                ),
                Panel(
                    title="Commands without an answer",
                    description="Any for longer than a failover's seconds: Redis is away.",
                    queries=[Query(rate("rostra_redis_errors_total", by="job, client"), "{{job}} {{client}}")],
                    unit="cps",
                    alerts=["RostraRedisUnavailable", "RostraLimiterFallback"],
                ),
                Panel(
                    title="Connections in use",
                    description="Share of those that a replica may have, by client.",
                    queries=[
                        Query(
                            'max by (job, client) (rostra_redis_connections{@, state="busy"} '
                            "/ on (namespace, job, pod, client) rostra_redis_connections_limit)",
                            "{{job}} {{client}}",
                        )
                    ],
                    unit="percentunit",
                    red_above=0.9,
                    alerts=["RostraRedisConnectionsHigh"],
                ),
            ],
        ),
        Row(
            "Databases, as Rostra sees them",
            [
                Panel(
                    title="Time of operations, 95 %",
                    description="Of user's statements and history's operations.",
                    queries=[
                        Query(quantile(0.95, "rostra_database_seconds", by="job, operation"), "{{job}} {{operation}}")
                    ],
                    unit="s",
                    red_above=0.5,
                    alerts=["RostraDatabaseSlow"],
                ),
                Panel(
                    title="Operations",
                    description="Per second.",
                    queries=[
                        Query(rate("rostra_database_seconds_count", by="job, operation"), "{{job}} {{operation}}")
                    ],
                    unit="ops",
                ),
                Panel(
                    title="Connections",
                    description="By replica, against the most that it may have.",
                    queries=[
                        Query(f"sum by (job, pod, state) ({_CONNECTIONS})", "{{pod}} {{state}}"),
                        Query(f"sum by (job, pod) ({_LIMITS})", "{{pod}} limit"),
                    ],
                    alerts=["RostraDatabaseConnectionsHigh"],
                ),
                Panel(
                    title="Wait for a connection, 95 %",
                    description="Before the database even hears of the operation.",
                    queries=[
                        Query(
                            "histogram_quantile(0.95, sum by (job, le) ("
                            f"rate(rostra_user_database_wait_seconds_bucket{{@}}[{PER_SECOND}]) "
                            f"or rate(rostra_history_database_wait_seconds_bucket{{@}}[{PER_SECOND}])))",
                            "{{job}}",
                        )
                    ],
                    unit="s",
                    red_above=0.5,
                    alerts=["RostraDatabaseWaits"],
                ),
                Panel(
                    title="Reads that the replica could answer",
                    description="`primary`: the replica did not.",
                    queries=[Query(rate("rostra_user_replica_reads_total", by="outcome"), "{{outcome}}")],
                    unit="ops",
                    alerts=["RostraReplicaReadsFail"],
                    needs="a read replica",
                ),
            ],
        ),
        Row(
            "MySQL",
            [
                Panel(
                    title="MySQL: connections",
                    description="Share of max_connections.",
                    queries=[
                        Query(
                            "mysql_global_status_threads_connected / mysql_global_variables_max_connections",
                            "{{instance}}",
                        )
                    ],
                    unit="percentunit",
                    red_above=0.8,
                    alerts=["RostraMysqlConnectionsHigh"],
                    needs=_MYSQL,
                ),
                Panel(
                    title="MySQL: slow queries",
                    description="Longer than long_query_time.",
                    queries=[Query("rate(mysql_global_status_slow_queries[5m])", "{{instance}}")],
                    unit="ops",
                    alerts=["RostraMysqlSlowQueries"],
                    needs=_MYSQL,
                ),
                Panel(
                    title="MySQL: replicas behind",
                    description="Sums of usage are read from them.",
                    queries=[
                        Query(
                            "mysql_slave_status_seconds_behind_source or mysql_slave_status_seconds_behind_master",
                            "{{instance}}",
                        )
                    ],
                    unit="s",
                    red_above=30,
                    alerts=["RostraMysqlReplicationLags"],
                    needs=f"{_MYSQL} on a replica",
                ),
            ],
        ),
        Row(
            "DocumentDB and Redis",
            [
                Panel(
                    title="DocumentDB: connections",
                    description="In use, and still to be had.",
                    queries=[
                        Query('mongodb_ss_connections{conn_type=~"current|available"}', "{{instance}} {{conn_type}}"),
                    ],
                    alerts=["RostraDocumentdbConnectionsHigh"],
                    needs=_MONGODB,
                ),
                Panel(
                    title="Redis: memory",
                    description="Share of maxmemory.",
                    queries=[Query("redis_memory_used_bytes / (redis_memory_max_bytes > 0)", "{{instance}}")],
                    unit="percentunit",
                    red_above=0.85,
                    alerts=["RostraRedisMemoryHigh"],
                    needs=f"{_REDIS}, and a maxmemory",
                ),
                Panel(
                    title="Redis: evicted keys",
                    description="Any is bad: limits, usage and event logs are not to be thrown away.",
                    queries=[Query("rate(redis_evicted_keys_total[5m])", "{{instance}}")],
                    unit="cps",
                    alerts=["RostraRedisEvictsKeys"],
                    needs=_REDIS,
                ),
            ],
        ),
    ],
)
