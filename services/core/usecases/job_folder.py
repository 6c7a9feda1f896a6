"""Where the files of a job lie."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class JobFolder:
    """The paths of a job, relative to the storage root."""

    job_id: str

    @property
    def root(self) -> str:
        """The folder of everything."""
        return f"jobs/{self.job_id}"

    def submitted(self, file_id: str, name: str) -> str:
        """Place a file as it was submitted."""
        return f"{self.root}/in/{file_id}/{name}"

    def artefacts(self, file_id: str) -> str:
        """Place the folder of what is made from a file."""
        return f"{self.root}/out/{file_id}"

    @property
    def manifest_json(self) -> str:
        """What became of each file, with all facts."""
        return f"{self.root}/manifest.json"

    @property
    def manifest_csv(self) -> str:
        """What became of each file, for a spreadsheet."""
        return f"{self.root}/manifest.csv"

    @property
    def contact_sheet(self) -> str:
        """All files in one picture."""
        return f"{self.root}/contact-sheet.jpg"

    @property
    def outputs(self) -> tuple[str, ...]:
        """What a job hands over when it has ended."""
        return (self.manifest_json, self.manifest_csv, self.contact_sheet)
