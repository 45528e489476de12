"""What the loopback Hub answers about buckets and jobs. Bytes of buckets go where xet's own client puts them."""

from __future__ import annotations

import json
import secrets
import time
from typing import Any, ClassVar

from tests.hub.http import iso_now
from tests.hub.reading import Refused
from tests.hub.uploads import Uploads

BUCKET = r"/api/buckets/(?P<bucket>[^/]+/[^/]+)"
JOB = r"/api/jobs/(?P<owner>[^/]+)/(?P<job>[0-9a-f]{24})"


class Machines(Uploads):
    """Buckets are tables of path → xet hash in ``hub.buckets``; jobs are kept in ``hub.jobs``, and do nothing."""

    routes: ClassVar[list[tuple[str, str, str]]] = [
        ("POST", rf"{BUCKET}", "create_bucket"),
        ("GET", rf"{BUCKET}", "bucket_info"),
        ("GET", rf"{BUCKET}/xet-(?P<right>read|write)-token", "xet_token"),
        ("POST", rf"{BUCKET}/batch", "bucket_batch"),
        ("POST", rf"{BUCKET}/paths-info", "bucket_paths"),
        ("GET", rf"{BUCKET}/tree(?:/(?P<prefix>.+))?", "bucket_tree"),
        ("GET", r"/buckets/(?P<bucket>[^/]+/[^/]+)/resolve/(?P<path>.+)", "bucket_resolve"),
        ("POST", r"/api/jobs/(?P<owner>[^/]+)", "run_job"),
        ("GET", JOB, "inspect_job"),
        ("GET", rf"{JOB}/logs", "job_logs"),
        ("POST", rf"{JOB}/cancel", "cancel_job"),
        *Uploads.routes,
    ]

    def create_bucket(self, bucket: str) -> None:
        self._check_owner(bucket)
        url = f"{self.hub.url}/buckets/{bucket}"
        if bucket in self.hub.buckets:
            self.answer_json({"error": "You already created this bucket", "url": url}, status=409)
            return
        self.hub.buckets[bucket] = {}
        self.answer_json({"url": url, "name": bucket, "id": "0" * 24})

    def bucket_info(self, bucket: str) -> None:
        self._files(bucket)
        self.answer_json({"id": bucket, "private": True, "createdAt": iso_now(), "size": 0, "totalFiles": 0})

    def xet_token(self, bucket: str, right: str) -> None:
        self._files(bucket)
        expires = int(time.time()) + 3600
        told = {"casUrl": f"local://{self.hub.root}/xet", "exp": expires, "accessToken": "xet"}
        headers = {"X-Xet-Cas-Url": told["casUrl"], "X-Xet-Token-Expiration": str(expires), "X-Xet-Access-Token": "xet"}
        self.answer_json(told, headers)

    def bucket_batch(self, bucket: str) -> None:
        files = self._files(bucket)
        for line in filter(None, self.content.splitlines()):
            asked = json.loads(line)
            if asked["type"] == "deleteFile":
                files.pop(asked["path"], None)
            else:
                files[asked["path"]] = asked["xetHash"]
        self.answer_json({"success": True, "failed": []})

    def bucket_paths(self, bucket: str) -> None:
        files = self._files(bucket)
        self.answer_json([self._entry(path, files) for path in json.loads(self.content)["paths"] if path in files])

    def bucket_tree(self, bucket: str, prefix: str = "") -> None:
        files = self._files(bucket)
        self.answer_json([self._entry(path, files) for path in sorted(files) if path.startswith(prefix)])

    def bucket_resolve(self, bucket: str, path: str) -> None:
        found = self._files(bucket)[path]
        route = f"{self.hub.url}/api/buckets/{bucket}/xet-read-token"
        self.answer(200, b"", {"X-Xet-Hash": found, "X-Xet-Refresh-Route": route, "X-Linked-Size": "1"})

    def run_job(self, owner: str) -> None:
        self._check_owner(f"{owner}/")
        asked = json.loads(self.content)
        job = {
            "id": secrets.token_hex(12), "createdAt": iso_now(), "owner": {"id": "1", "name": owner, "type": "user"},
            "status": {"stage": "RUNNING", "message": None}, "command": asked["command"], "flavor": asked["flavor"],
            "dockerImage": asked.get("dockerImage"), "labels": asked.get("labels"), "volumes": asked.get("volumes"),
        }  # fmt: skip
        self.hub.jobs[job["id"]] = {"asked": asked, "told": job, "log": ["eyes 1 of 500", "eyes 2 of 500"]}
        self.answer_json(job)

    def inspect_job(self, owner: str, job: str) -> None:
        self.answer_json(self._job(owner, job)["told"])

    def job_logs(self, owner: str, job: str) -> None:
        lines = self._job(owner, job)["log"][-int(self.query.get("tail", 1000)) :]
        events = "".join(f"data: {json.dumps({'data': line, 'timestamp': iso_now()})}\n\n" for line in lines)
        self.answer(200, events.encode(), {}, "text/event-stream")

    def cancel_job(self, owner: str, job: str) -> None:
        found = self._job(owner, job)
        found["told"]["status"] = {"stage": "CANCELED", "message": "by the user"}
        self.answer_json(found["told"])

    def _entry(self, path: str, files: dict[str, str]) -> dict[str, Any]:
        size = self.hub.bucket_sizes.get(path, 0)
        return {"type": "file", "path": path, "size": size, "xetHash": files[path], "mtime": iso_now()}

    def _files(self, bucket: str) -> dict[str, str]:
        self._check_owner(bucket)
        if bucket not in self.hub.buckets:
            self.refuse(404, "Bucket not found", "BucketNotFound")
            raise Refused
        return self.hub.buckets[bucket]

    def _job(self, owner: str, job: str) -> dict[str, Any]:
        self._check_owner(f"{owner}/")
        if job not in self.hub.jobs:
            self.refuse(404, "Job not found")
            raise Refused
        return self.hub.jobs[job]

    def _check_owner(self, place: str) -> None:
        self._check_writer()
        if place.split("/")[0] != self.user:
            self.refuse(403, "Forbidden: you do not have the right to this namespace")
            raise Refused
