"""Pods that tests call from, and to, and scripts that are run in them."""

from tests.cluster.mesh.conftest import Mesh

APP = """
apiVersion: v1
kind: Pod
metadata: {name: app, labels: {app: app}}
spec:
  terminationGracePeriodSeconds: 0
  containers:
  - name: app
    image: curlimages/curl
    imagePullPolicy: IfNotPresent
    command: [sleep, infinity]
"""
WEB = """
apiVersion: v1
kind: Pod
metadata: {name: web, labels: {app: web}}
spec:
  terminationGracePeriodSeconds: 0
  containers:
  - name: web
    image: localhost/net:1
    imagePullPolicy: Never
    command:
    - sh
    - -c
    - |
      mkdir /tmp/w
      echo hello > /tmp/w/index.html
      (while :; do echo first | nc -l -p 9; done) &
      httpd -f -p '[::]:8080' -h /tmp/w
    readinessProbe: {tcpSocket: {port: 8080}, periodSeconds: 1}
---
apiVersion: v1
kind: Service
metadata: {name: web}
spec:
  selector: {app: web}
  ipFamilyPolicy: PreferDualStack
  ports: [{name: http, port: 80, targetPort: 8080}, {name: first, port: 9}]
"""


class Caller:
    def __init__(self, mesh: Mesh, namespace: str) -> None:
        self.mesh, self.namespace = mesh, namespace

    def run(self, script: str) -> str:
        """Run a script in the captured pod; what fails shows in what it prints."""
        return self.mesh.cluster.exec(
            "app",
            "sh",
            "-c",
            f"{{ {script}; }} 2>&1 || true",
            namespace=self.namespace,
            container="app",
        )

    def curl(self, *words: str) -> str:
        return self.run(f"curl -sS --max-time 5 {' '.join(words)}")
