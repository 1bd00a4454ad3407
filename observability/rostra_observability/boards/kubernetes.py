"""Pods, autoscalers, Jobs and secrets of the release."""

from rostra_observability.panel import PER_SECOND, Board, Panel, Query, Row

_CONTAINERS = 'container=~"gateway|chat|history|user", pod=~".*rostra.*"'
_STATE = "kube-state-metrics"
_CADVISOR = "the kubelet's cAdvisor"

KUBERNETES = Board(
    name="kubernetes",
    title="Kubernetes",
    description="Pods, autoscalers, Jobs and secrets of the release.",
    rows=[
        Row(
            "Pods",
            [
                Panel(
                    title="Replicas that answer",
                    description="By service; what Prometheus reads.",
                    queries=[Query("count by (job) (rostra_build_info{@})", "{{job}}")],
                    alerts=["RostraServiceDown", "RostraPodUnreachable", "RostraMetricsMissing"],
                ),
                Panel(
                    title="Pods missing",
                    description="Wanted, and not available.",
                    queries=[
                        Query(
                            'kube_deployment_spec_replicas{@, deployment=~".*rostra.*-(gateway|chat|history|user)"} '
                            "- on (namespace, deployment) kube_deployment_status_replicas_available",
                            "{{deployment}}",
                        )
                    ],
                    red_above=1,
                    alerts=["RostraDeploymentIncomplete"],
                    needs=_STATE,
                ),
                Panel(
                    title="Restarts within an hour",
                    description="By pod.",
                    queries=[
                        Query(
                            f"sum by (pod) (increase(kube_pod_container_status_restarts_total{{@, {_CONTAINERS}}}[1h]))",
                            "{{pod}}",
                        )
                    ],
                    alerts=["RostraPodCrashLoops"],
                    needs=_STATE,
                ),
                Panel(
                    title="Memory",
                    description="Share of the limit. At the limit a container is killed.",
                    queries=[
                        Query(
                            f"max by (namespace, pod, container) (container_memory_working_set_bytes{{@, {_CONTAINERS}}}) "
                            '/ on (namespace, pod, container) kube_pod_container_resource_limits{resource="memory"}',
                            "{{pod}}",
                        )
                    ],
                    unit="percentunit",
                    red_above=0.9,
                    alerts=["RostraMemoryHigh"],
                    needs=f"{_STATE} and {_CADVISOR}",
                ),
                Panel(
                    title="CPU",
                    description="Cores by pod.",
                    queries=[
                        Query(
                            f"sum by (pod) (rate(container_cpu_usage_seconds_total{{@, {_CONTAINERS}}}[{PER_SECOND}]))",
                            "{{pod}}",
                        )
                    ],
                    alerts=["RostraCpuHigh"],
                    needs=_CADVISOR,
                ),
                Panel(
                    title="Held back by the CPU limit",
                    description="Share of the periods. The chart sets no CPU limit by default.",
                    queries=[
                        Query(
                            f"sum by (pod) (rate(container_cpu_cfs_throttled_periods_total{{@, {_CONTAINERS}}}[{PER_SECOND}])) "
                            f"/ sum by (pod) (rate(container_cpu_cfs_periods_total{{@, {_CONTAINERS}}}[{PER_SECOND}]))",
                            "{{pod}}",
                        )
                    ],
                    unit="percentunit",
                    red_above=0.25,
                    alerts=["RostraCpuThrottled"],
                    needs=f"{_CADVISOR}, and a CPU limit",
                ),
            ],
        ),
        Row(
            "Autoscalers, Jobs, secrets",
            [
                Panel(
                    title="Autoscalers",
                    description="Pods now, against the maximum.",
                    queries=[
                        Query(
                            "kube_horizontalpodautoscaler_status_current_replicas"
                            '{@, horizontalpodautoscaler=~".*rostra.*-(gateway|chat|history|user)"} '
                            "/ on (namespace, horizontalpodautoscaler) kube_horizontalpodautoscaler_spec_max_replicas",
                            "{{horizontalpodautoscaler}}",
                        )
                    ],
                    unit="percentunit",
                    red_above=1,
                    alerts=["RostraAutoscalerAtMaximum"],
                    needs=_STATE,
                ),
                Panel(
                    title="Failed Jobs",
                    description="The migration of a release.",
                    queries=[
                        Query(
                            'max by (job_name) (kube_job_failed{@, condition="true", job_name=~".*rostra.*"})',
                            "{{job_name}}",
                        ),
                    ],
                    red_above=1,
                    alerts=["RostraJobFailed"],
                    needs=_STATE,
                ),
                Panel(
                    title="Secrets that are not synced",
                    description="By External Secrets.",
                    queries=[
                        Query(
                            'max by (name) (externalsecret_status_condition{@, condition="Ready", status="False", '
                            'name=~".*rostra.*"})',
                            "{{name}}",
                        )
                    ],
                    red_above=1,
                    alerts=["RostraSecretNotSynced"],
                    needs="External Secrets",
                ),
            ],
        ),
    ],
)
