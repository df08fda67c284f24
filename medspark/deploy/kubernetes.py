"""A deployment as a ScheduledSparkApplication of Kubernetes' Spark operator, as conf/spark/kubernetes has one."""

from pathlib import Path
from typing import Any, Final

from medspark.deploy.deployment import Deployment
from medspark.errors import TaskError
from medspark.task.yaml_text import write_yaml

LONGEST: Final = 43
"""Letters of an application's name: a label of Kubernetes has 63 at most, and the operator adds 20 to each night's, its
time in nanoseconds."""

_UNPRIVILEGED: Final[dict[str, Any]] = {
    "runAsNonRoot": True,
    "runAsUser": 185,
    "runAsGroup": 185,
    "allowPrivilegeEscalation": False,
    "capabilities": {"drop": ["ALL"]},
}
_POD: Final[dict[str, Any]] = {"memory": "4g", "securityContext": _UNPRIVILEGED}


def scheduled_application(deployment: Deployment, file: Path) -> dict[str, str]:
    """The file of the application, by its name; the image is that of conf/spark/kubernetes/Dockerfile.

    Args:
        deployment: whose nights.
        file: its file, as the driver's pod has it.

    Raises:
        TaskError: its name makes one that is too long for the operator, which puts more behind it.
    """
    clock, name = deployment.as_of, f"medspark-{deployment.deployment}".replace("_", "-")
    if len(name) > LONGEST:
        most = LONGEST - len(name) + len(deployment.deployment)
        told = f"deployment: expected a name of at most {most} letters, received one of {len(deployment.deployment)}"
        raise TaskError("--by kubernetes", [f"{told}. Kubernetes allows {LONGEST} for an application: {name}"])
    hour, minute = clock.at.split(":")
    template = {
        "type": "Python",
        "pythonVersion": "3",
        "mode": "cluster",
        "sparkVersion": "4.2.0",
        "image": "medspark:0.1.0",
        "mainApplicationFile": "local:///opt/medspark/jobs/night.py",
        "arguments": [str(file), "--json"],
        "sparkConf": {
            "spark.sql.shuffle.partitions": "200",
            "spark.sql.codegen.hugeMethodLimit": "8000",
            "spark.sql.sources.parallelPartitionDiscovery.parallelism": "64",
        },
        "restartPolicy": {
            "type": "OnFailure",
            "onFailureRetries": 2,
            "onFailureRetryInterval": 600,
            "onSubmissionFailureRetries": 3,
            "onSubmissionFailureRetryInterval": 60,
        },
        "driver": {"cores": 1, **_POD, "memoryOverhead": "1g", "serviceAccount": "spark"},
        "executor": {"instances": 4, "cores": 2, **_POD, "memoryOverhead": "2g"},
    }
    application = {
        "apiVersion": "sparkoperator.k8s.io/v1beta2",
        "kind": "ScheduledSparkApplication",
        "metadata": {"name": name},
        "spec": {
            "schedule": f"{int(minute)} {int(hour)} * * *",
            "timeZone": clock.timezone,
            "concurrencyPolicy": "Forbid",
            "successfulRunHistoryLimit": 3,
            "failedRunHistoryLimit": 7,
            "template": template,
        },
    }
    return {f"{name}.yaml": write_yaml(application)}
