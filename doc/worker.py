"""A machine that runs one job: python3 worker.py SCHEDULER FOLDER."""

import socket
import subprocess
import sys
import xmlrpc.client

url, folder = sys.argv[1:]
scheduler = xmlrpc.client.ServerProxy(url, allow_none=True)

job = scheduler.getJobForMachine(socket.gethostname(), 1)
if job == 0:
    sys.exit("There is nothing to do.")
target, _, _, source, *_ = scheduler.getImportDataForJobID(job)["arguments"]

scheduler.updateHeartbeat(job, f"Cloning {source}")
clone = subprocess.run(
    ["git", "clone", "--mirror", "--", source, f"{folder}/{target}.git"],
    stdout=subprocess.PIPE,
    stderr=subprocess.STDOUT,
    check=False,
)
status = "SUCCESS" if clone.returncode == 0 else "FAILURE"
scheduler.finishJobID(job, status, xmlrpc.client.Binary(clone.stdout))
print(f"Job {job}: {status}")
